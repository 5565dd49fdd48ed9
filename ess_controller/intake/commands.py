"""The commands of the intake bench: `ess estimate`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(estimate)


def estimate(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="TRACE...", help="CSV with t_s, current_a (+ discharging), voltage_v, temperature_c."),
    ],
    cell: Annotated[Path, typer.Option(metavar="CELL.toml", help="What is known of the cell type.")],
    capacity_ah: Annotated[
        float | None, typer.Option(metavar="AH", help="What the estimator is told; else the file's nameplate.")
    ] = None,
    soc0: Annotated[float | None, typer.Option(metavar="SOC", help="The first SOC it is told, 0 to 1.")] = None,
    temperature_c: Annotated[
        float | None, typer.Option(metavar="C", help="Of the cell, where a trace has no temperature_c.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="CSV", help="Keep every sample's estimate.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="PNG", help="Draw SOC, error, capacity and resistance.")] = None,
    compare: Annotated[
        bool, typer.Option("--plain", help="Run the plain 1-RC Kalman filter of the literature beside it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only answers.")] = False,
) -> None:
    """Run the daemon's own estimator over recorded traces of one cell: SOC, capacity, resistance, each with its doubt.

    Several traces count as one life with gaps of unknown length. Exit status 1: the current's sign is reversed, or the
    cell file does not fit.
    """
    from ess_controller.errors import TroubleError
    from ess_controller.intake.answer import answer, table, write_csv
    from ess_controller.intake.job import Job, carry_out

    show = sys.stderr.isatty() and not (as_json or quiet)
    result = carry_out(Job(tuple(files), cell, capacity_ah, temperature_c, soc0, compare, show))
    if out is not None:
        write_csv(out, result.tracks, result.plain)
    if plot is not None:
        from ess_controller.intake.estimate_plot import save_plot

        save_plot(plot, result.tracks, result.plain)
    told = answer(result.tracks, result.plain, result.troubles)
    print(json.dumps(told) if as_json else "\n".join(table(told)))
    if result.troubles:
        raise TroubleError("\n".join(result.troubles))
