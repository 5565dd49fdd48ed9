"""A file that is put in its place is there whole, or what was there before is."""

from pathlib import Path

import pytest

from ess_controller.kept import whole_file


def test_the_new_one_takes_the_place_of_the_old_one_or_the_old_one_stays(tmp_path: Path) -> None:
    path, draft = tmp_path / "plan.bin", tmp_path / "plan.bin.part"
    for content in (b"first", b""):
        whole_file.put(path, content)
        assert (path.read_bytes(), draft.exists()) == (content, False)
    draft.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        whole_file.put(path, b"third")
    assert path.read_bytes() == b""
    with pytest.raises(FileNotFoundError):
        whole_file.put(tmp_path / "nowhere" / "plan.bin", b"fourth")
