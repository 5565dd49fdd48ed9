"""The `ess` command: put together from the entry-point group `ess.commands`, so that the daemon runs without `sim`."""

import errno
import logging
import os
import sys
from importlib.metadata import entry_points

import typer

from ess_controller.errors import BadInputError, TroubleError

# Nothing takes the answer: a full disk behind `>` or one that fails; a reader that has seen enough, which is no trouble
NOT_TAKEN = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EPIPE)


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
        try:
            build()()
        finally:
            if sys.stdout is not None:  # None: closed from the start
                sys.stdout.flush()  # while it can still be told that nothing takes the answer
    except (BadInputError, TroubleError) as trouble:
        for handler in logging.getLogger().handlers:
            handler.flush()  # what was said before comes first
        print(trouble, file=sys.stderr)  # noqa: T201
        sys.exit(2 if isinstance(trouble, BadInputError) else 1)
    except OSError as trouble:
        if trouble.errno not in NOT_TAKEN or trouble.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter writes what is left once more
        if trouble.errno != errno.EPIPE:
            print(f"standard output: the answer could not be written: {trouble.strerror}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
