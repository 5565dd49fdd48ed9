"""world.toml: what the simulated site is truly like. Checked whole at the door; nothing has a default in code."""

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Hour = Annotated[float, Field(ge=0, le=24, allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Start(_Table):
    """How the cells are found."""

    soc: Share
    soc_sd: NotNegative
    temperature_c: Finite


class Cell(_Table):
    """A new cell group (`parallel` cells as one)."""

    ocv_file: str
    parallel: Annotated[int, Field(ge=1, le=8)]
    r10_ohm: Positive
    r0_share: Positive
    rc_share: Annotated[list[Positive], Field(min_length=2, max_length=2)]
    rc_s: Annotated[list[Positive], Field(min_length=2, max_length=2)]
    arrhenius_k: NotNegative
    hysteresis_v: NotNegative
    hysteresis_per_soc: Positive
    leak_per_month: NotNegative
    leak_factor_sd: Annotated[float, Field(ge=1)]
    leak_doubles_k: Positive
    soft_shorts: Share
    bleed_ohm: Positive
    bleed_sense_ohm: NotNegative
    heat_j_per_k: Positive


class Ageing(_Table):
    """How used cells differ from new ones and from one another."""

    spread: NotNegative
    r_per_soh: NotNegative
    r_module_sd: NotNegative
    r_soh_correlation: Annotated[float, Field(ge=-1, le=1)]
    ocv_shift_v: Finite
    ocv_shift_sd: NotNegative
    ocv_stretch: Annotated[float, Field(ge=0, le=1)]


class Pack(_Table):
    """Busbars, cables, precharge and the inverter's DC capacitor."""

    busbar_ohm: NotNegative
    link_ohm: NotNegative
    link_sd: NotNegative
    cable_ohm: Positive
    precharge_ohm: Positive
    bus_f: Positive
    bus_bleed_ohm: Positive
    insulation_ohm: Positive


class Thermal(_Table):
    """Heat paths: cell, module frame, cabinet air, ambient."""

    cell_module_w_per_k: Positive
    module_j_per_k: Positive
    module_air_w_per_k: Positive
    air_j_per_k: Positive
    air_ambient_w_per_k: Positive
    board_k_per_w: NotNegative


class Inverter(_Table):
    """One bidirectional inverter (PCS)."""

    charge_w: Positive
    discharge_w: Positive
    ramp_w_per_s: Positive
    start_s: NotNegative
    no_load_w: NotNegative
    loss_share: NotNegative
    loss_square: NotNegative
    standby_w: NotNegative
    dc_v_min: Positive
    dc_v_max: Positive


class Premises(_Table):
    """Load, sun and weather around the battery."""

    utc_offset_h: Annotated[float, Field(ge=-14, le=14)]
    base_w: NotNegative
    peak_w: NotNegative
    open_h: Hour
    close_h: Hour
    closed_weekdays: list[Annotated[int, Field(ge=0, le=6)]]
    noise_share: Share
    burst_w: NotNegative
    burst_share: Share
    pv_wp: NotNegative
    pv_share: Share
    sunrise_h: Hour
    sunset_h: Hour
    cloud_share: Share
    ambient_c: Finite
    ambient_swing_k: NotNegative


class Sensors(_Table):
    """What instruments add to the truth: `_sd` between instruments, `noise` from sample to sample."""

    cell_offset_v_sd: NotNegative
    cell_noise_v: NotNegative
    temperature_offset_k_sd: NotNegative
    temperature_noise_k: NotNegative
    current_gain_sd: NotNegative
    current_offset_a_sd: NotNegative
    current_noise_a: NotNegative
    string_gain_sd: NotNegative
    string_noise_v: NotNegative
    insulation_noise_share: NotNegative
    meter_gain_sd: NotNegative
    meter_noise_w: NotNegative
    pcs_gain_sd: NotNegative
    pcs_noise_w: NotNegative
    register_period_s: NotNegative


class Scenario(_Table):
    """A whole world.toml. `cell.ocv_file` is relative to the file's folder and absolute once loaded."""

    seed: Annotated[int, Field(ge=0)]
    step_s: Annotated[float, Field(gt=0, le=10)]
    start: Start
    cell: Cell
    ageing: Ageing
    pack: Pack
    thermal: Thermal
    inverter: Inverter
    premises: Premises
    sensors: Sensors


def load(path: Path) -> Scenario:
    """Read and check a world.toml (or the folder it lies in); ValueError tells every trouble, one a line."""
    path = path / "world.toml" if path.is_dir() else path
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as trouble:
        raise ValueError(f"{path}: {trouble}") from None
    try:
        found = Scenario.model_validate(raw)
    except ValidationError as trouble:
        lines = [_sentence(path, text, error) for error in trouble.errors()]
        raise ValueError("\n".join(lines)) from None
    curve = (path.parent / found.cell.ocv_file).resolve()
    if not curve.is_file():
        raise ValueError(f"{path}:{_line(text, ('cell', 'ocv_file'))}: cell.ocv_file: no such file: {curve}")
    return found.model_copy(update={"cell": found.cell.model_copy(update={"ocv_file": str(curve)})})


def _sentence(path: Path, text: str, error: Any) -> str:
    place = tuple(str(part) for part in error["loc"])
    value = "" if error["type"] == "missing" else f" (found {error['input']!r})"
    return f"{path}:{_line(text, place)}: {'.'.join(place)}: {error['msg']}{value}"


def _line(text: str, place: tuple[str, ...]) -> int:
    """The line of `place` in the file, its table's when the key is missing, 1 when both are."""
    table, found = "", 1
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if bare.startswith("["):
            table = bare.split("]")[0].strip("[ ")
            found = number if table == place[0] else found
        key = bare.split("=")[0].strip()
        if (table, key) == (*place, "")[:2] or (not table and key == place[0]):
            return number
    return found
