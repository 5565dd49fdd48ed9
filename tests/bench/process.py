"""What the running daemon takes of the machine: memory and CPU of the control process, over real sockets."""

import os
import tempfile
from pathlib import Path
from threading import Event

from ess_controller.clock import wall_s
from ess_controller.doors.live import NoDaemonError, ask
from sim.demo import Child, own_buses
from tests.bench.table import Row, row, show

SITE = Path(__file__).parents[2] / "sites/bench"
SETTLE_S, MEASURE_S = 8.0, 12.0


def rows() -> list[Row]:
    """Resident memory and CPU share of `ess run` on the bench site at 10 beats a second, journal on."""
    pause = Event()
    with tempfile.TemporaryDirectory(prefix="ess-bench-") as folder:
        common = [str(SITE), "--home", folder, "--quiet", *own_buses(SITE)]
        with Child(["hil", *common]), Child(["run", *common]) as daemon:
            began_s = wall_s()
            while wall_s() - began_s < SETTLE_S or not _is_up(Path(folder) / "live.sock"):
                pause.wait(0.2)
            cpu_before_s, before_s = _cpu_s(daemon.pid), wall_s()
            pause.wait(MEASURE_S)
            share = (_cpu_s(daemon.pid) - cpu_before_s) / (wall_s() - before_s)
            resident_mb = _resident_mb(daemon.pid)
    return [
        row("control process, resident", resident_mb, "MB", "target", 100.0),
        row("control process, whole CPU a beat", share * 100.0, "ms CPU"),
    ]


def _is_up(live: Path) -> bool:
    try:
        told = ask(live, {"get": "picture"})
    except NoDaemonError:
        return False
    return "error" not in told and told["strings"][0]["mode"] == "run"


def _cpu_s(pid: int) -> float:
    """User and system time of all threads (proc(5), stat fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1000


if __name__ == "__main__":
    show(rows())
