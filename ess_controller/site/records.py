"""From a checked site file to the frozen records that the daemon and the simulator work with."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import nan
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel

from ess_controller.ageing.rates import CellAgeing, WearTerms
from ess_controller.ageing.settings import HealthSettings
from ess_controller.core.cell_model import KNOTS, CellModel, Circuit, Curve
from ess_controller.core.types import (
    BalanceTuning,
    ClimateTuning,
    DispatchTuning,
    EstimateTuning,
    LimitTuning,
    ModeTuning,
    Tuning,
)
from ess_controller.site.cell_tables import CellFile
from ess_controller.site.devices import CabinetTable, IoTable, ModuleTable, StringTable
from ess_controller.site.kinds import Customer, DemandMode, Supply
from ess_controller.site.schema import SiteFile, WearTable
from ess_controller.telemetry.settings import InfluxSettings
from firmware_bridge.records import (
    CabinetSpec,
    Climate,
    Contact,
    Envelope,
    Floats,
    IoChannel,
    IoSpec,
    ModuleSpec,
    PlantSpec,
    PvSpec,
    StringSpec,
)

Record = TypeVar(
    "Record",
    Envelope,
    ModeTuning,
    EstimateTuning,
    DispatchTuning,
    LimitTuning,
    ClimateTuning,
    BalanceTuning,
    HealthSettings,
    InfluxSettings,
)


@dataclass(frozen=True, slots=True)
class Location:
    """Where the site is: for the sun."""

    latitude: float  # degrees, north +
    longitude: float  # degrees, east +
    altitude_m: float


@dataclass(frozen=True, slots=True)
class PvArray:
    """Solar modules of one inverter that look the same way."""

    kwp: float  # DC name plate
    tilt_deg: float  # 0 flat, 90 upright
    azimuth_deg: float  # 90 east, 180 south: pvlib's convention


Place = TypeVar("Place", Location, PvArray)


@dataclass(frozen=True, slots=True)
class Contract:
    """What the site has agreed with its supplier; its prices are in `Site.tariff`."""

    supply: Supply
    customer: Customer
    demand: DemandMode
    contract_kw: float  # agreed demand; NaN unless `demand` is "contract"
    transformer_kva: float


@dataclass(frozen=True, slots=True)
class WeatherSource:
    """Where weather forecasts come from."""

    source: str  # a URL, or a file relative to the site's
    every_h: float
    oldest_h: float

    @property
    def is_url(self) -> bool:
        """Whether it is asked for over the network."""
        return self.source.startswith(("http://", "https://"))


def plant_of(site: SiteFile) -> PlantSpec:
    """What is connected where, in the order of the file. Strings that are not in service are left out."""
    return PlantSpec(
        buses=dict(site.buses),
        cabinets=tuple(_cabinet(cabinet) for cabinet in site.cabinet),
        meter_bus=site.meter.bus,
        pvs=tuple(PvSpec(pv.name, pv.bus, float(pv.rated_w)) for pv in site.pv or ()),
        meter_positive_imports=site.meter.positive_imports,
    )


def arrays_of(site: SiteFile) -> tuple[tuple[PvArray, ...], ...]:
    """[pv] the arrays of each solar inverter."""
    return tuple(tuple(_floats(PvArray, array) for array in pv.array) for pv in site.pv or ())


def location_of(site: SiteFile) -> Location | None:
    """Where the site is, if the file says so."""
    return _floats(Location, site.location) if site.location else None


def contract_of(site: SiteFile) -> Contract | None:
    """The agreement with the supplier, if the file has one."""
    table = site.contract
    if table is None:
        return None
    contract_kw = float("nan") if table.contract_kw is None else float(table.contract_kw)
    return Contract(table.supply, table.customer, table.demand, contract_kw, float(table.transformer_kva))


def weather_of(site: SiteFile) -> WeatherSource | None:
    """Where weather forecasts come from, if from anywhere."""
    table = site.weather
    return WeatherSource(table.source, float(table.every_h), float(table.oldest_h)) if table else None


def influx_of(site: SiteFile) -> InfluxSettings | None:
    """Where reports go, if anywhere."""
    table = site.influx
    if table is None:
        return None
    return _record(InfluxSettings, table)


def health_of(site: SiteFile) -> HealthSettings | None:
    """By which lines modules are judged, if by any."""
    return _record(HealthSettings, site.health) if site.health else None


def wear_of(table: WearTable | None) -> WearTerms | None:
    """What the modules' life is worth, if the file says so."""
    if table is None:
        return None
    return WearTerms(float(table.value_cny_per_kwh), float(table.life_soh), float(table.cell_c))


def ageing_of(cell: CellFile) -> CellAgeing | None:
    """How the cell ages, if its file says so."""
    table = cell.ageing
    if table is None:
        return None
    lists = (table.depth, table.per_cycle, table.soc, table.per_year)
    depth, per_cycle, soc, per_year = (tuple(map(float, each)) for each in lists)
    return CellAgeing(depth, per_cycle, soc, per_year, float(table.cycle_j_per_mol), float(table.rest_j_per_mol))


def isolated_of(site: SiteFile) -> tuple[str, ...]:
    """Names of the strings that are not in service."""
    return tuple(string.name for cabinet in site.cabinet for string in cabinet.string if not string.in_service)


def origins_of(site: SiteFile) -> dict[str, str]:
    """Module code -> where the module comes from; also of strings that are not in service."""
    strings = (string for cabinet in site.cabinet for string in cabinet.string)
    return {module.code: module.origin for string in strings for module in string.module}


def tuning_of(site: SiteFile, cell: CellFile, plant: PlantSpec) -> Tuning:
    """What the controller is tuned to. `cell_ah` is the nameplate times the intake test's SOH."""
    module_soh = _frozen([module.soh for module in plant.modules])
    nameplate_ah = _frozen([module.nameplate_ah for module in plant.modules])
    return Tuning(
        layout=plant.layout,
        envelope=_record(Envelope, site.envelope),
        cell=cell_model(cell),
        limits=_record(LimitTuning, site.limits),
        mode=_record(ModeTuning, site.mode),
        estimate=_record(EstimateTuning, site.estimate),
        dispatch=_record(DispatchTuning, site.dispatch),
        module_soh=module_soh,
        module_nameplate_ah=nameplate_ah,
        cell_ah=_frozen((nameplate_ah * module_soh)[plant.layout.cell_module]),
        climate=_record(ClimateTuning, site.climate) if site.climate else None,
        balance=_record(BalanceTuning, site.balance) if site.balance else None,
    )


def _cabinet(cabinet: CabinetTable) -> CabinetSpec:
    reference_w = cabinet.pcs.discharge_reference_w
    return CabinetSpec(
        name=cabinet.name,
        pcs_bus=cabinet.pcs.bus,
        strings=tuple(_string(string) for string in cabinet.string if string.in_service),
        pcs_dialect=cabinet.pcs.dialect,
        pcs_fallback_is_zero=bool(cabinet.pcs.fallback_is_zero),
        battery_bus=cabinet.battery.bus if cabinet.battery else "",
        io=_io(cabinet.io) if cabinet.io else None,
        pcs_discharge_reference_w=nan if reference_w is None else float(reference_w),
        battery_positive_discharges=cabinet.battery.positive_discharges if cabinet.battery else True,
    )


def _io(io: IoTable) -> IoSpec:
    inputs = [IoChannel(Contact[name.upper()], at, name in io.closed_is_well) for name, at in io.inputs.items()]
    outputs = [IoChannel(Climate[name.upper()], at) for name, at in io.outputs.items()]
    return IoSpec(io.bus, tuple(inputs), tuple(outputs))


def _string(string: StringTable) -> StringSpec:
    modules = tuple(_module(module) for module in string.module)
    return (
        StringSpec(string.name, string.box.bus, modules, string.box.crc)
        if string.box
        else StringSpec(string.name, "", modules)
    )


def _module(module: ModuleTable) -> ModuleSpec:
    """A module behind a gateway has no bus and no slot: its place in the string is its address."""
    return ModuleSpec(
        module.code,
        module.bus or "",
        module.slot or 0,
        module.cells,
        float(module.nameplate_ah),
        float(module.soh),
        module.crc or "on",
    )


def cell_model(cell: CellFile) -> CellModel:
    """The cell type of a file in which nothing is wrong."""
    ohm, lag, knots = cell.resistance, cell.hysteresis, np.linspace(0.0, 1.0, KNOTS)
    r0_ohm, r1_ohm, r2_ohm = (_frozen(np.interp(knots, ohm.soc, row)) for row in (ohm.r0_ohm, ohm.r1_ohm, ohm.r2_ohm))
    first_s, second_s = sorted(ohm.rc_s)
    circuit = Circuit(
        _frozen(knots),
        r0_ohm,
        r1_ohm,
        r2_ohm,
        (float(first_s), float(second_s)),
        _frozen(np.interp(knots, lag.soc, lag.v)),
        float(lag.share),
        float(lag.fades_s),
    )
    return CellModel(
        name=cell.name,
        ocv=_curve(cell.ocv.soc, cell.ocv.v),
        circuit=circuit,
        resistance_by_c=_curve(ohm.by_temperature_c, ohm.temperature_factor),
        resistance_by_soh=_curve(ohm.by_soh, ohm.soh_factor),
        nameplate_ah=float(cell.nameplate_ah),
    )


def _record(record: type[Record], table: BaseModel) -> Record:
    """The record whose fields are named as the keys of `table`: whole numbers as floats, pairs as curves."""
    values: dict[str, Any] = {field.name: _plain(getattr(table, field.name), field.type) for field in fields(record)}
    return record(**values)


def _floats(record: type[Place], table: BaseModel) -> Place:
    """The record of floats whose fields are named as the keys of `table`."""
    return record(*(float(getattr(table, field.name)) for field in fields(record)))


def _plain(value: object, kind: object) -> object:
    if isinstance(value, tuple):
        return _curve(*zip(*value, strict=True))
    return float(value) if kind is float and isinstance(value, int) else value


def _curve(x: Sequence[float], y: Sequence[float]) -> Curve:
    return Curve(_frozen(x), _frozen(y))


def _frozen(values: ArrayLike) -> Floats:
    array = np.array(values, dtype=np.float64)
    array.flags.writeable = False
    return array
