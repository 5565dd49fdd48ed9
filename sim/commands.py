"""The commands of the simulated world: demo, hil, simulate, faults, bench."""

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ess_controller.commands import Buses, Home, Json, SitePath, Speed, Start, load_site, plant_time
from ess_controller.errors import BadInputError

if TYPE_CHECKING:
    from ess_controller.daemon import Tee
    from sim.world.scenario import Scenario

DemoSite = Annotated[
    Path,
    typer.Argument(
        metavar="SITE", help="A folder with site.toml and world.toml.", show_default="sites/shanghai-dealer"
    ),
]
FaultsSite = Annotated[
    Path,
    typer.Argument(metavar="SITE", help="A folder with site.toml and world.toml.", show_default="sites/bench"),
]
Seed = Annotated[int | None, typer.Option(min=0, help="Another world: cells, sensors, weather. Default: world.toml's.")]
FaultFile = Annotated[Path | None, typer.Option("--faults", metavar="FILE", help="A schedule of faults (TOML).")]
History = Annotated[
    float,
    typer.Option(
        min=0.0,
        max=400.0,
        metavar="DAYS",
        help="How far the site's meter book reaches back at the start: what plans by value learn from.",
    ),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Only answers.")]
CENTURY_DAYS = 36_525
SITES = Path(__file__).parents[1] / "sites"
BENCH_SITE, DEMO_SITE = SITES / "bench", SITES / "shanghai-dealer"


def register(app: typer.Typer) -> None:
    """Add the world's commands."""
    app.command()(demo)
    app.command()(hil)
    app.command()(simulate)
    app.command()(faults)
    app.command()(bench)


def load_world(site: Path) -> "Scenario":
    """The checked world.toml beside a site.toml."""
    from sim.scenario_file import load

    return load(site if site.is_dir() else site.parent)


def default_site(site: Path) -> Path:
    """The site as given; a site of the checkout's, which only a checkout has, when it is there."""
    if site in (BENCH_SITE, DEMO_SITE) and not site.is_dir():
        raise BadInputError("SITE: expected a folder with site.toml and world.toml: this installation brings none")
    return site


def demo(
    site: DemoSite = DEMO_SITE,
    speed: Speed = 60.0,
    hours: Annotated[float, typer.Option(min=0.01, max=36_525 * 24, help="Plant hours to run.")] = 24.0,
    start: Start = "2026-06-01T08:00:00+08:00",
    seed: Seed = None,
    fault_file: FaultFile = None,
    history: History = 28.0,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Of the operator's page; another where it is taken.")
    ] = 8420,
    board: Annotated[bool, typer.Option(help="With the operator's page.")] = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """World, daemon and page as processes on this machine, on real sockets, with nothing to set up."""
    from sim.demo import Demo, run_demo
    from sim.faults import load_schedule

    loaded = load_site(default_site(site), [])
    load_world(site)
    if fault_file is not None:
        load_schedule(fault_file, loaded.plant)
    summary = run_demo(
        Demo(
            site,
            speed,
            hours,
            plant_time(start),
            seed,
            fault_file,
            show=sys.stdout.isatty() and not (as_json or quiet),
            history_days=history,
            port=port if board else None,
        )
    )
    _tell(summary, as_json=as_json)
    if summary["guard_trips"] or summary["cells_outside_limits"]:
        raise typer.Exit(1)


def hil(
    site: SitePath,
    bus: Buses = [],  # noqa: B006
    home: Home = None,
    speed: Speed = 1.0,
    start: Start = None,
    seed: Seed = None,
    fault_file: FaultFile = None,
    truth: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Add what is truly so to FILE, ten JSON lines a second.")
    ] = None,
    verbose: Annotated[int, typer.Option("-v", "--verbose", count=True)] = 0,
    quiet: Quiet = False,
) -> None:
    """Be the site's devices in real time on its buses, for a daemon beside it or hardware on the bench."""
    from ess_controller.terminal.talk import talk

    talk(verbose, quiet=quiet)
    loaded, scenario = load_site(site, bus), load_world(site)
    from ess_controller.kept.home import folder
    from sim.faults import Schedule, load_schedule
    from sim.hil import serve
    from sim.verdict import verdict

    schedule = load_schedule(fault_file, loaded.plant) if fault_file else Schedule()
    world = serve(loaded, scenario, schedule, home, speed, plant_time(start), seed, truth)
    harm = {"schema_version": 1, **verdict(world, loaded.tuning.envelope)}
    (folder(loaded.name, home) / "world.json").write_text(json.dumps(harm, indent=2) + "\n")


def simulate(
    site: SitePath,
    start: Annotated[str, typer.Option(metavar="TIME", help="ISO 8601 with offset.")] = "2026-06-01T00:00:00+08:00",
    days: Annotated[float, typer.Option(min=0.0001, max=CENTURY_DAYS, help="Plant days to run.")] = 1.0,
    beat: Annotated[
        float | None,
        typer.Option(min=0.02, max=60.0, help="Plant seconds a beat; default: as in the field."),
    ] = None,
    seed: Seed = None,
    fault_file: FaultFile = None,
    history: History = 28.0,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write summary.json and series.parquet there, and what the daemon keeps: `ess health --home DIR`.",
        ),
    ] = None,
    truth: Annotated[
        bool,
        typer.Option("--truth", help="Compare estimates and limits with the truth: truth.parquet, truth.png, sop.png."),
    ] = False,
    truth_every: Annotated[
        float, typer.Option(min=1.0, max=86_400.0, metavar="SECONDS", help="Plant time between two comparisons.")
    ] = 600.0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fast-forward: the same daemon on a counted clock and memory wires. The same seed gives the same bits."""
    loaded, scenario = load_site(site, []), load_world(site)
    from ess_controller.clock import wall_s
    from ess_controller.terminal.progress import Bar
    from sim.fast import Series, Span, make_ready, nobody
    from sim.fast import simulate as run_span
    from sim.faults import Schedule, load_schedule
    from sim.judge import Judge
    from sim.keep import kept
    from sim.past import past

    when = plant_time(start)
    assert when is not None
    span = Span(when, days, beat or loaded.period_s, seed)
    schedule = load_schedule(fault_file, loaded.plant) if fault_file else Schedule()
    if truth and out is None:
        raise BadInputError("--truth: expected --out DIR as well, where truth.parquet is written")
    if out is not None:
        make_ready(out, to_plot=truth)
    series = Series(every_s=60.0)
    began_s = wall_s()
    plans = loaded.tuning.dispatch.rule == "value"
    known = past(loaded, scenario, when, history, seed) if plans else []
    with ExitStack() as held:
        judge = held.enter_context(Judge(out, loaded.tuning, truth_every)) if truth and out is not None else None
        bar = held.enter_context(Bar(days * 86_400, show=not (as_json or quiet) and sys.stderr.isatty()))
        recorders: tuple[Tee, ...] = held.enter_context(kept(loaded, out, when)) if out is not None else ()
        tees: tuple[Tee, ...] = (*recorders, series, lambda beat: bar(beat.tick.t_s))
        summary, _ = run_span(loaded, scenario, span, tees=tees, schedule=schedule, judge=judge or nobody, known=known)
    if judge is not None:
        summary |= judge.save()
    summary["wall_s"] = wall_s() - began_s
    if out is not None:
        series.save(out, summary)
    _tell(summary, as_json=as_json)
    if summary["guard_trips"] or summary["cells_outside_limits"]:
        raise typer.Exit(1)


def faults(
    site: FaultsSite = BENCH_SITE,
    runs: Annotated[int, typer.Option(min=1, help="How often each fault strikes on the bench.")] = 20,
    kills: Annotated[int, typer.Option(min=0, help="How often the daemon is killed -9 over real sockets.")] = 5,
    sockets: Annotated[bool, typer.Option(help="Also over real sockets.")] = True,
    seed: Seed = None,
    as_json: Json = False,
) -> None:
    """Break the site in every way we know, at random moments, and measure how long until it is safe."""
    from sim.campaign import brief, campaign

    default_site(site)
    rows = campaign(
        load_site(site, []), load_world(site), site, runs=runs, kills=kills, sockets=sockets, seed=seed or 0
    )
    if as_json:
        print(json.dumps({"schema_version": 1, "rows": rows}))
    else:
        _table([brief(row) for row in rows])
    if any(row["survived"] < row["of"] for row in rows):
        raise typer.Exit(1)


def bench(as_json: Json = False) -> None:
    """Measure speed and memory against references in the same run; needs the checkout (tests/bench)."""
    from importlib import import_module

    try:
        rows = import_module("tests.bench.all").rows()
    except ModuleNotFoundError as trouble:
        missing = trouble.name or str(trouble)
        if missing.partition(".")[0] == "tests":
            raise BadInputError("ess bench: expected to run from a checkout, which has tests/bench") from None
        raise BadInputError(
            f"ess bench: expected the package {missing}, which is not installed: uv sync --group dev"
        ) from None
    if as_json:
        print(json.dumps({"schema_version": 1, "rows": rows}))
    else:
        _table(rows)


def _tell(summary: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(summary))
    else:
        width = max(map(len, summary))
        for key, value in summary.items():
            if not isinstance(value, list):
                print(f"{key:<{width}}  {value:.4g}" if isinstance(value, float) else f"{key:<{width}}  {value}")
        for rows in (value for value in summary.values() if isinstance(value, list) and value):
            _table(rows)


def _table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in rows[0]:
        table.add_column(column.replace("_", " "), justify="left" if column in ("name", "fault") else "right")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    Console(width=max(Console().width, 160)).print(table)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return "" if value is None else str(value)
