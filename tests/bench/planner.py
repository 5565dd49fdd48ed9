"""What the planner's process takes: memory and CPU with 400 days of a site's history: `python -m tests.bench.planner`.

A process of its own on plain numpy, as in the cabinet: its jobs of a first day (plan, capacity test, reports of the
days before), then a re-plan each half hour, then the first of each of the days after. What pvlib takes in a child of
its own is told apart: once at the start, then every two weeks.
"""

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from ess_controller.planning.meter.store import FILE, KEEP_DAYS, MeterStore
from tests.bench.table import Row, row, show
from tests.planning.test_site_planner import block

SITE = Path(__file__).parents[2] / "sites/shanghai-dealer"
RE_PLANS, DAYS = 8, 5
CHILD = """
import json, os, sys
from datetime import datetime, timedelta
from pathlib import Path

sys.modules["ess_controller.planning.value.by_numba"] = None  # as without the extra `sim`
from ess_controller.planning.planner import process
from ess_controller.site import load

def cpu_s():
    taken = os.times()
    return taken.user + taken.system

def of_plan():
    before = cpu_s()
    planning.plan()
    return cpu_s() - before

utc = datetime.fromisoformat(sys.argv[3])
process.utc_now = lambda: utc
planning = process.Planning(load(Path(sys.argv[1]), {}), Path(sys.argv[2]), alone=True)
taken = []
for job in (planning.plan, planning.place_test, planning.report):
    before = cpu_s()
    job()
    taken.append(cpu_s() - before)
child = os.times().children_user + os.times().children_system
again, days = [], []
for _ in range(int(sys.argv[4])):
    utc += timedelta(minutes=30)
    again.append(of_plan())
for _ in range(int(sys.argv[5])):
    utc += timedelta(days=1)
    days.append(of_plan())
status = Path("/proc/self/status").read_text()
mb = {name: int(status.split(name + ":")[1].split()[0]) / 1000 for name in ("VmRSS", "VmHWM")}
print(json.dumps({"first": taken, "again": sorted(again), "days": sorted(days), "child": child, **mb}))
"""


def rows() -> list[Row]:
    """Of the process on plain numpy."""
    now = datetime(2026, 6, 19, 0, 10, tzinfo=UTC)  # so that no day ends within the re-plans
    number = int(now.timestamp() // 900)
    with tempfile.TemporaryDirectory(prefix="ess-bench-") as folder:
        store = MeterStore(Path(folder) / FILE, 900.0, make=True)
        store.put(block(at) for at in range(number - KEEP_DAYS * 96, number))
        store.close()
        given = [str(SITE), folder, now.isoformat(), str(RE_PLANS), str(DAYS)]
        done = subprocess.run([sys.executable, "-c", CHILD, *given], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    first, test, reports = told["first"]
    return [
        row("planner's process, resident", told["VmRSS"], "MB", "target", 350.0),
        row("planner's process, resident at most", told["VmHWM"], "MB", "target", 350.0),
        row("re-plan on plain numpy, median", told["again"][len(told["again"]) // 2], "s CPU", "target", 0.6),
        row("first plan of a day, all learnt anew, median", told["days"][DAYS // 2], "s CPU", "target", 0.6),
        row("first plan of the process, modules loaded", first, "s CPU", "target", 0.6),
        row("clear sky of the first, pvlib in a child", told["child"], "s CPU"),
        row("capacity test placed", test, "s CPU"),
        row("31 days priced with and without", reports, "s CPU"),
    ]


if __name__ == "__main__":
    show(rows())
