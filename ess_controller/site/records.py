"""From a checked site file to the frozen records that the daemon and the simulator work with.

Its devices are for `plant`, its cell for `cell_records`.
"""

from dataclasses import dataclass

from ess_controller.core.knobs import (
    BalanceTuning,
    ClimateTuning,
    DispatchTuning,
    EstimateTuning,
    LimitTuning,
    ModeTuning,
)
from ess_controller.core.types import Tuning
from ess_controller.core.wear import WearTerms
from ess_controller.site.cell_records import cell_model
from ess_controller.site.cell_tables import CellFile
from ess_controller.site.freezing import floats, frozen, record
from ess_controller.site.health import HealthSettings
from ess_controller.site.influx import InfluxSettings
from ess_controller.site.kinds import Customer, DemandMode, Supply
from ess_controller.site.schema import SiteFile, WearTable
from firmware_bridge.records import Envelope, PlantSpec


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


def arrays_of(site: SiteFile) -> tuple[tuple[PvArray, ...], ...]:
    """[pv] the arrays of each solar inverter."""
    return tuple(tuple(floats(PvArray, array) for array in pv.array) for pv in site.pv or ())


def location_of(site: SiteFile) -> Location | None:
    """Where the site is, if the file says so."""
    return floats(Location, site.location) if site.location else None


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
    return record(InfluxSettings, table)


def health_of(site: SiteFile) -> HealthSettings | None:
    """By which lines modules are judged, if by any."""
    return record(HealthSettings, site.health) if site.health else None


def wear_of(table: WearTable | None) -> WearTerms | None:
    """What the modules' life is worth, if the file says so."""
    if table is None:
        return None
    return WearTerms(float(table.value_cny_per_kwh), float(table.life_soh), float(table.cell_c))


def tuning_of(site: SiteFile, cell: CellFile, plant: PlantSpec) -> Tuning:
    """What the controller is tuned to. `cell_ah` is the nameplate times the intake test's SOH."""
    module_soh = frozen([module.soh for module in plant.modules])
    nameplate_ah = frozen([module.nameplate_ah for module in plant.modules])
    return Tuning(
        layout=plant.layout,
        envelope=record(Envelope, site.envelope),
        cell=cell_model(cell),
        limits=record(LimitTuning, site.limits),
        mode=record(ModeTuning, site.mode),
        estimate=record(EstimateTuning, site.estimate),
        dispatch=record(DispatchTuning, site.dispatch),
        module_soh=module_soh,
        module_nameplate_ah=nameplate_ah,
        cell_ah=frozen((nameplate_ah * module_soh)[plant.layout.cell_module]),
        climate=record(ClimateTuning, site.climate) if site.climate else None,
        balance=record(BalanceTuning, site.balance) if site.balance else None,
    )
