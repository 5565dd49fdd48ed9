"""Writes the C codec and the tables of its README anew: `python -m firmware_bridge.c` after a change of a DBC file."""

from pathlib import Path

from firmware_bridge.c.codec import DBC_NAMES, bus_of, codec_files
from firmware_bridge.c.readme import filled

HERE = Path(__file__).parent
DBC_FOLDER = HERE.parent / "dbc"


def dbc_texts() -> dict[str, str]:
    """The DBC files as they lie there, by name."""
    return {name: (DBC_FOLDER / name).read_text(encoding="ascii") for name in DBC_NAMES}


def generated() -> dict[str, str]:
    """What the generated files must read, by name; README.md keeps what is not generated."""
    dbc = dbc_texts()
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    return {**codec_files(dbc), "README.md": filled(readme, bus_of(dbc))}


def main() -> None:
    """Write each file beside this one."""
    for name, text in generated().items():
        (HERE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
