"""The commands of the intake bench: `ess fit` and `ess estimate`."""

import json
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ess_controller.errors import BadInputError, TroubleError
from ess_controller.extras import check_installed

if TYPE_CHECKING:
    from ess_controller.intake.fitting import FittedCell
    from ess_controller.intake.traces import Trace


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(fit)
    app.command()(estimate)


def fit(
    pulse: Annotated[
        list[Path],
        typer.Option(
            metavar="CSV", help="Pulse test; several at different temperatures. Sampled by the second if it can be."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="TOML", help="The cell file to write.")],
    slow: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Slow discharge, C/10 or slower, from full to empty.")
    ] = None,
    temperature_c: Annotated[
        list[float],
        typer.Option(
            metavar="C", help="Where files have no temperatures: one for all, or one for each --pulse in turn."
        ),
    ] = [],  # noqa: B006
    name: Annotated[str | None, typer.Option(help="Of the cell; else that of the file.")] = None,
    nameplate_ah: Annotated[
        float | None, typer.Option(min=0.001, max=5000.0, metavar="AH", help="Of the module when new: says its SOH.")
    ] = None,
    tested: Annotated[str, typer.Option(metavar="DATE", help="Day of the tests, for the file: 2026-06-01.")] = "",
    plot: Annotated[Path | None, typer.Option(metavar="PNG", help="Draw the fit.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Fit a cell file to the intake test of a module: a slow discharge and a pulse test with rests.

    A trace has the columns t_s,current_a,voltage_v,temperature_c (current positive when discharging), or is the export
    of a Bitrode tester. Without --slow, OCV comes from the rests of the pulse test, and hysteresis stays unknown.
    """
    for needed in ("scipy", *(["matplotlib"] if plot else [])):
        check_installed(needed, "ess fit")
    from ess_controller.intake.cell_file import cell_toml
    from ess_controller.intake.fitting import fit_cell

    _check_day(tested)
    slow_trace, pulses = _traces(slow, pulse, temperature_c)
    cell = fit_cell(slow_trace, pulses)
    text = cell_toml(cell, name or out.stem, nameplate_ah, tested, str(out))
    _write(out, text.encode())
    if plot:
        from ess_controller.intake.plot import png

        _write(plot, png(cell, name or out.stem))
    for note in cell.notes:
        print(note, file=sys.stderr)
    answer = _answer(cell, nameplate_ah)
    print(json.dumps(answer) if as_json else "\n".join(_report(answer, str(out))))


def _check_day(tested: str) -> None:
    try:
        if tested:
            date.fromisoformat(tested)
    except ValueError:
        raise BadInputError(f"--tested {tested}: expected a day, like 2026-06-01") from None


def _traces(slow: Path | None, pulse: list[Path], temperature_c: list[float]) -> "tuple[Trace | None, list[Trace]]":
    from ess_controller.intake.traces import read_trace

    if len(temperature_c) > 1 and len(temperature_c) != len(pulse):
        raise BadInputError(
            f"--temperature-c: expected one, or {len(pulse)}, one for each --pulse, not {len(temperature_c)}"
        )
    for each in temperature_c:
        if not -60.0 <= each <= 150.0:
            raise BadInputError(f"--temperature-c {each:g}: expected degrees Celsius from -60 to 150")
    each_c: list[float | None] = (
        [*temperature_c]
        if len(temperature_c) == len(pulse)
        else ([temperature_c[0] if temperature_c else None] * len(pulse))
    )
    pulses = [read_trace(path, cell_c) for path, cell_c in zip(pulse, each_c, strict=True)]
    return (read_trace(slow, each_c[0]) if slow else None), pulses


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise BadInputError(f"{path}: expected a place to write to: {error.strerror}") from None


def _answer(cell: "FittedCell", nameplate_ah: float | None) -> dict[str, Any]:
    """For scripts. Numbers that nobody could measure are null."""
    from ess_controller.core.cell_model import HORIZONS_S
    from ess_controller.intake.figures import figures

    told, model = figures(cell), cell.model("")
    circuit = cell.fitted.circuit
    return {
        "schema_version": 1,
        "capacity_ah": round(cell.capacity_ah, 4),
        "soh": round(cell.capacity_ah / nameplate_ah, 4) if nameplate_ah else None,
        "resistance_ohm": {f"{h:.0f}s": float(f"{model.ohm(h):.4g}") for h in HORIZONS_S},
        "resistance_off": {f"{each.horizon_s:.0f}s": _known(each.off, 4) for each in told.resistance},
        "rc_s": [float(f"{each:.3g}") for each in circuit.rc_s],
        "hysteresis_v": round(float(model.tables.hysteresis_v[len(model.tables.hysteresis_v) // 2]), 4),
        "hysteresis_fades_s": circuit.hysteresis_s,
        "rests": len(cell.rests.soc),
        "measured_c": [round(each, 1) for each in cell.measured_c],
        "temperature_factor": [round(float(cell.resistance_by_c(each)), 3) for each in cell.measured_c],  # type: ignore[arg-type]
        "rms_mv": _known(told.rms_mv, 2),
        "rms_flowing_mv": _known(told.rms_flowing_mv, 2),
        "rms_resting_mv": _known(told.rms_resting_mv, 2),
        "notes": list(cell.notes),
    }


def _known(number: float, digits: int) -> float | None:
    return None if number != number else round(number, digits)  # noqa: PLR0124


def _report(answer: dict[str, Any], out: str) -> list[str]:
    """For people."""
    off = answer["resistance_off"]
    ohm = ", ".join(
        f"{1000.0 * ohm:.4g} ({'not measured' if off[key] is None else f'{off[key]:.1%} off'}) over {key}"
        for key, ohm in answer["resistance_ohm"].items()
    )
    soh = f", SOH {answer['soh']:.3f}" if answer["soh"] else ""
    factors = ", ".join(
        f"{factor} at {cell_c:g} C"
        for cell_c, factor in zip(answer["measured_c"], answer["temperature_factor"], strict=True)
    )
    return [
        f"capacity    {answer['capacity_ah']:.4g} Ah{soh}",
        f"resistance  mOhm at mid SOC, 25 C: {ohm}",
        f"hysteresis  {1000.0 * answer['hysteresis_v']:.1f} mV at mid SOC, at rest 63 % of it fades within "
        f"{answer['hysteresis_fades_s']:.0f} s"
        if answer["hysteresis_v"]
        else "hysteresis  unknown or too small to see",
        f"temperature resistance x {factors}",
        f"fit         {answer['rms_mv']} mV rms over the pulse test: {answer['rms_flowing_mv']} while current flows, "
        f"{answer['rms_resting_mv']} at rest; OCV from {answer['rests']} rests",
        f"written     {out}",
    ]


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
