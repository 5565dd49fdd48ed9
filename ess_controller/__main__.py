"""The `ess` command: put together from the entry-point group `ess.commands`, so that the daemon runs without `sim`."""

import logging
import sys
from importlib.metadata import entry_points

import typer

from ess_controller.errors import BadInputError, TroubleError


def build() -> typer.Typer:
    """The application with the commands of every installed part."""
    app = typer.Typer(
        name="ess",
        help="Controls storage cabinets built from retired vehicle battery modules.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for part in sorted(entry_points(group="ess.commands"), key=lambda part: part.name):
        part.load()(app)
    return app


def main() -> None:
    """Run a command. Exit 0 done, 1 ran and found trouble, 2 bad input."""
    try:
        build()()
    except (BadInputError, TroubleError) as trouble:
        for handler in logging.getLogger().handlers:
            handler.flush()  # what was said before comes first
        print(trouble, file=sys.stderr)  # noqa: T201
        sys.exit(2 if isinstance(trouble, BadInputError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
