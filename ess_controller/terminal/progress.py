"""How far a long run has come, on the terminal."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Bar:
    """A bar on stderr, or nothing."""

    def __init__(self, total: float, *, show: bool) -> None:
        self._step, self._next = total / 200, 0.0
        columns = (TextColumn("{task.percentage:3.0f} %"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), disable=not show, transient=True)
        self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> "Bar":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, done: float) -> None:
        """Move on when it shows."""
        if done >= self._next:
            self._next = done + self._step
            self._bar.update(self._task, completed=done)
