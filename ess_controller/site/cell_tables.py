"""Which keys a cell file has, and their ranges: what is known of a cell type when new, and how it ages."""

from typing import Annotated

from pydantic import Field

from ess_controller.site.kinds import (
    LIST,
    NUMBERS,
    SHORT,
    Activation,
    CellVolts,
    Celsius,
    Factor,
    Ohms,
    Seconds,
    Share,
    SmallVolts,
    Table,
)


class OcvTable(Table):
    """Open-circuit voltage over SOC."""

    soc: Annotated[tuple[Share, ...], LIST, NUMBERS, SHORT] = Field(description="numbers from 0 to 1")
    v: Annotated[tuple[CellVolts, ...], LIST, NUMBERS, SHORT] = Field(description="voltages")


class ResistanceTable(Table):
    """Two RC pairs over SOC at 25 C, new, and what temperature and age make of them."""

    soc: Annotated[tuple[Share, ...], LIST, NUMBERS, SHORT] = Field(description="numbers from 0 to 1")
    r0_ohm: Annotated[tuple[Ohms, ...], LIST, NUMBERS, SHORT] = Field(description="resistances")
    r1_ohm: Annotated[tuple[Ohms, ...], LIST, NUMBERS, SHORT] = Field(description="resistances")
    r2_ohm: Annotated[tuple[Ohms, ...], LIST, NUMBERS, SHORT] = Field(description="resistances")
    rc_s: Annotated[tuple[Seconds, Seconds], LIST] = Field(description="two time constants")
    by_temperature_c: Annotated[tuple[Celsius, ...], LIST, NUMBERS, SHORT] = Field(description="temperatures")
    temperature_factor: Annotated[tuple[Factor, ...], LIST, NUMBERS, SHORT] = Field(description="factors")
    by_soh: Annotated[tuple[Share, ...], LIST, NUMBERS, SHORT] = Field(description="SOHs from 0 to 1")
    soh_factor: Annotated[tuple[Factor, ...], LIST, NUMBERS, SHORT] = Field(description="factors")


class HysteresisTable(Table):
    """How far charging and discharging pull the voltage off its rest, whatever the current."""

    soc: Annotated[tuple[Share, ...], LIST, NUMBERS, SHORT] = Field(description="numbers from 0 to 1")
    v: Annotated[tuple[SmallVolts, ...], LIST, NUMBERS, SHORT] = Field(description="voltages, each way")
    share: Annotated[float, Field(gt=0.0, le=1.0)] = Field(description="of the capacity, to build up 63 % of it")
    fades_s: Annotated[float, Field(gt=0.0, le=1e9)] = Field(description="time constant of its fading at rest, s")


class DataSheetTable(Table):
    """What the cell's maker allows."""

    v_min: CellVolts
    v_max: CellVolts
    charge_c_min: Celsius = Field(description="no charging below, C")


class AgeingTable(Table):
    """What an aged cell loses next, in SOH, at 25 C: by cycles over their depth, and in a year of rest over SOC."""

    depth: Annotated[tuple[Share, ...], LIST, NUMBERS, SHORT] = Field(description="numbers from 0 to 1")
    per_cycle: Annotated[tuple[Share, ...], LIST, NUMBERS, SHORT] = Field(description="shares of the nameplate")
    soc: Annotated[tuple[Share, ...], LIST, NUMBERS, SHORT] = Field(description="numbers from 0 to 1")
    per_year: Annotated[tuple[Share, ...], LIST, NUMBERS, SHORT] = Field(description="shares of the nameplate")
    cycle_j_per_mol: Activation = Field(description="activation energy of what cycles do, J/mol")
    rest_j_per_mol: Activation = Field(description="and of what time does, J/mol")


class CellFile(Table):
    """What is known of a cell type when new."""

    name: str = Field(min_length=1, max_length=200, description="text of 1 to 200 characters")
    nameplate_ah: float = Field(gt=0.0, le=5000.0)
    data_sheet: DataSheetTable
    ocv: OcvTable
    resistance: ResistanceTable
    hysteresis: HysteresisTable
    ageing: AgeingTable | None = None
