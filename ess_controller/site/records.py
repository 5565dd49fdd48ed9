"""From a checked site file to the frozen records that the daemon and the simulator work with."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel

from ess_controller.core.types import (
    CellModel,
    Curve,
    DispatchTuning,
    EstimateTuning,
    LimitTuning,
    ModeTuning,
    Tuning,
)
from ess_controller.site.schema import CabinetTable, CellFile, ModuleTable, SiteFile, StringTable
from firmware_bridge.records import CabinetSpec, Envelope, Floats, ModuleSpec, PlantSpec, StringSpec

Record = TypeVar("Record", Envelope, ModeTuning, EstimateTuning, DispatchTuning, LimitTuning)


def plant_of(site: SiteFile) -> PlantSpec:
    """What is connected where, in the order of the file."""
    return PlantSpec(dict(site.buses), tuple(_cabinet(cabinet) for cabinet in site.cabinet), site.meter.bus)


def tuning_of(site: SiteFile, cell: CellFile, plant: PlantSpec) -> Tuning:
    """What the controller is tuned to. `cell_ah` is the nameplate times the intake test's SOH."""
    module_soh = _frozen([module.soh for module in plant.modules])
    nameplate_ah = _frozen([module.nameplate_ah for module in plant.modules])
    return Tuning(
        layout=plant.layout,
        envelope=_record(Envelope, site.envelope),
        cell=_cell_model(cell),
        limits=_record(LimitTuning, site.limits),
        mode=_record(ModeTuning, site.mode),
        estimate=_record(EstimateTuning, site.estimate),
        dispatch=_record(DispatchTuning, site.dispatch),
        module_soh=module_soh,
        module_nameplate_ah=nameplate_ah,
        cell_ah=_frozen((nameplate_ah * module_soh)[plant.layout.cell_module]),
    )


def _cabinet(cabinet: CabinetTable) -> CabinetSpec:
    return CabinetSpec(cabinet.name, cabinet.pcs.bus, tuple(_string(string) for string in cabinet.string))


def _string(string: StringTable) -> StringSpec:
    modules = tuple(_module(module) for module in string.module)
    return StringSpec(string.name, string.box.bus, modules, string.box.crc)


def _module(module: ModuleTable) -> ModuleSpec:
    return ModuleSpec(
        module.code,
        module.bus,
        module.slot,
        module.cells,
        float(module.nameplate_ah),
        float(module.soh),
        module.crc,
    )


def _cell_model(cell: CellFile) -> CellModel:
    resistance = cell.resistance
    return CellModel(
        name=cell.name,
        ocv=_curve(cell.ocv.soc, cell.ocv.v),
        resistance=_curve(resistance.horizon_s, resistance.ohm),
        resistance_by_c=_curve(resistance.by_temperature_c, resistance.temperature_factor),
        resistance_by_soh=_curve(resistance.by_soh, resistance.soh_factor),
        nameplate_ah=float(cell.nameplate_ah),
    )


def _record(record: type[Record], table: BaseModel) -> Record:
    """The record whose fields are named as the keys of `table`: whole numbers as floats, pairs as curves."""
    values: dict[str, Any] = {field.name: _plain(getattr(table, field.name), field.type) for field in fields(record)}
    return record(**values)


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
