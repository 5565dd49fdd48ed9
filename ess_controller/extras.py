"""What only some commands need: libraries that an edge install does without."""

from importlib.util import find_spec

from ess_controller.errors import BadInputError


def check_installed(library: str, wanted_by: str, extra: str = "sim") -> None:
    """Raises BadInputError where a library of an extra is not installed that `wanted_by`, a command, needs."""
    if find_spec(library) is None:
        raise BadInputError(f"{wanted_by}: expected {library} to be installed: it comes with the extra `{extra}`")
