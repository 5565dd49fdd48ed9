"""How far a fast-forward has come, on the terminal."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from ess_controller.daemon import Beat


class Progress:
    """A tee that draws a bar on stderr, or nothing."""

    def __init__(self, total_s: float, *, show: bool) -> None:
        self._next_s, self._step_s = 0.0, total_s / 200
        columns = ("{task.percentage:3.0f} %", BarColumn(), TimeElapsedColumn(), "left", TimeRemainingColumn())
        self._bar = Bar(*columns, console=Console(stderr=True), disable=not show)
        self._task = self._bar.add_task("", total=total_s)

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, beat: Beat) -> None:
        """Move on when it shows."""
        if beat.tick.t_s >= self._next_s:
            self._next_s = beat.tick.t_s + self._step_s
            self._bar.update(self._task, completed=beat.tick.t_s)
