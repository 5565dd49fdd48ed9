"""`python -m ess_controller.replay`: how one version asks another for its replay, without any installation."""

import sys

import typer

from ess_controller.errors import BadInputError, TroubleError
from ess_controller.replay.commands import register


def main() -> None:
    """Run the one command. Exit status as `ess` has it."""
    app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
    register(app)
    try:
        app()
    except (BadInputError, TroubleError) as trouble:
        print(trouble, file=sys.stderr)  # noqa: T201
        sys.exit(2 if isinstance(trouble, BadInputError) else 1)


if __name__ == "__main__":
    main()
