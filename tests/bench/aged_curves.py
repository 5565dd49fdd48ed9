"""What learning an aged cell's curve gains: SOC and capacity of retired cells by their rests at known charge.

    python -m tests.bench.aged_curves

Of each kind of cell the youngest sixth make the curve of a new one; the others are retired cells of known capacity.
Each is told a capacity that is 5 % wrong (one standard deviation), rests five times within the range that the curve
covers, goes up and down once, and is asked what it is and how full it was. The data are not ours and not shipped: see
`../shared/data/cells/retired_pulse` (MIT, github.com/terencetaothucb).
"""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ess_controller.core.cell_model import KNOTS, Tables
from ess_controller.core.gauge.anchors import Anchors, AnchorTuning, counted, inverse, rested, undone
from ess_controller.core.gauge.filter import Shape
from ess_controller.core.gauge.kin import Kin, KinTuning
from firmware_bridge.records import Floats
from tests.bench.table import Row, row, show
from tests.intake.measured import CELLS

FILES = ("data_Pouch31.xlsx", "data_Cylind21.xlsx")
YOUNGEST = 6  # one cell in so many makes the new one's curve
COVERED = 0.55  # SOC up to which the young ones were tested
TOLD_SD = 0.05
STOPS = 5
_TOLD = KinTuning(capacity_sd=TOLD_SD)
_STIFF = KinTuning(TOLD_SD, slide_sd=1e-4, stretch_sd=1e-4, slide_common_sd=1e-4, stretch_common_sd=1e-4)
VARIANTS = {  # how the curve is learnt, and whether from all cells together
    "curve of a new cell": (AnchorTuning(kin=_STIFF), False),
    "shift learnt alone": (AnchorTuning(kin=_TOLD), False),
    "shift learnt together": (AnchorTuning(kin=_TOLD), True),
    "together, rests trusted": (AnchorTuning(kin=_TOLD, curve_soc=1e-4), True),
}
_XML = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@dataclass(frozen=True, slots=True)
class Retired:
    """One cell: its capacity, and rested voltages at known charge."""

    capacity_ah: float
    nominal_ah: float
    charge_ah: Floats  # [rest] above empty
    rest_v: Floats  # [rest]


def retired(path: Path) -> list[Retired]:
    """All cells of a workbook whose rests are (nearly) all there, in the order of the file."""
    found: dict[tuple[str, float], dict[float, tuple[float, float]]] = {}
    for name, nominal_ah, capacity_ah, label, rest_v in _rows(path):
        found.setdefault((name, capacity_ah), {})[label] = (nominal_ah, rest_v)
    cells = []
    for (_, capacity_ah), rests in found.items():
        if len(rests) >= 8:
            labels = sorted(rests)
            nominal_ah = rests[labels[0]][0]
            volts = np.array([rests[label][1] for label in labels])
            cells.append(Retired(capacity_ah, nominal_ah, np.array(labels) * nominal_ah / 100.0, volts))
    return cells


def _rows(path: Path) -> Iterator[tuple[str, float, float, float, float]]:
    """Name, nominal Ah, Ah, label in % of nominal, rested V of each line of the first sheet."""
    with zipfile.ZipFile(path) as book:
        texts = ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
        words = ["".join(part.text or "" for part in item.iter(f"{_XML}t")) for item in texts]
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    for line in sheet.iter(f"{_XML}row"):
        cells = {cell.get("r", "").rstrip("0123456789"): cell for cell in line}
        values = {column: cell.findtext(f"{_XML}v") for column, cell in cells.items()}
        if line.get("r") == "1" or values.get("B") is None:
            continue
        name = words[int(values["A"] or 0)] if cells["A"].get("t") == "s" else str(values["A"])
        nominal_ah, ah, label, rest_v = (float(values[column] or "nan") for column in ("B", "C", "E", "G"))
        yield name, nominal_ah, ah, label, rest_v


def young_curve(cells: list[Retired]) -> Tables:
    """OCV of a new cell, by a polynomial through the youngest; straight on where they were not tested."""
    soc = np.concatenate([cell.charge_ah / cell.capacity_ah for cell in cells])
    volts = np.concatenate([cell.rest_v for cell in cells])
    order = np.argsort(soc)
    fit = np.polynomial.Polynomial.fit(soc[order], volts[order], 7)
    low, high, grid = 0.06, COVERED - 0.01, np.linspace(0.0, 1.0, KNOTS)
    inner = np.clip(grid, low, high)
    ocv_v = fit(inner) + fit.deriv()(inner) * (grid - inner)
    rising = np.maximum.accumulate(ocv_v) + 1e-9 * np.arange(KNOTS)
    return Tables(rising, np.ones((3, KNOTS)), np.zeros(KNOTS), 1.0)


def lived(tables: Tables, knobs: AnchorTuning, cells: list[Retired], told_ah: Floats) -> tuple[Floats, Floats]:
    """Capacities they are believed to have, over the true ones less 1 [cell], and errors of SOC at all rests."""
    charge_ah, rest_v = _courses(cells)
    true_ah, everywhere = np.array([cell.capacity_ah for cell in cells]), np.ones(len(cells), bool)
    kin = Kin.of(true_ah / np.array([cell.nominal_ah for cell in cells]), modules=len(cells))
    anchors, before_ah = Anchors.fresh(knobs, kin), charge_ah[0]
    for now_ah, volts in zip(charge_ah, rest_v, strict=True):
        anchors = counted(anchors, before_ah - now_ah, 3600.0)
        before_ah = now_ah
        for resting, read_v in ((everywhere, volts), (~everywhere, np.nan * volts)):
            anchors, _ = rested(tables, knobs, kin, anchors, resting, read_v, told_ah)
    off = [undone(Shape(anchors.slide, anchors.stretch), inverse(tables, volts)) for volts in rest_v]
    return told_ah / anchors.p / true_ah - 1.0, np.concatenate(off) - (charge_ah / true_ah).ravel()


def _courses(cells: list[Retired]) -> tuple[Floats, Floats]:
    """[stop, cell] charge above empty and rested voltage: up in some stops within the range that is covered, and
    down."""
    charge_ah, rest_v = [], []
    for cell in cells:
        within = np.flatnonzero(cell.charge_ah / cell.capacity_ah < COVERED)
        up = within[np.linspace(0, len(within) - 1, STOPS).round().astype(int)]
        there_and_back = [*up, *up[::-1]]
        charge_ah.append(cell.charge_ah[there_and_back])
        rest_v.append(cell.rest_v[there_and_back])
    return np.array(charge_ah).T, np.array(rest_v).T


def rows() -> list[Row]:
    """One line a kind of cell, variant and error."""
    found: list[Row] = []
    for name in FILES:
        cells = sorted(retired(CELLS / "retired_pulse" / name), key=lambda cell: cell.capacity_ah / cell.nominal_ah)
        young = max(3, len(cells) // YOUNGEST)
        tables, old = young_curve(cells[-young:]), cells[:-young]
        rng = np.random.default_rng(1)
        told_ah = np.array([cell.capacity_ah * (1.0 + TOLD_SD * rng.standard_normal()) for cell in old])
        for variant, (knobs, together) in VARIANTS.items():
            groups = [old] if together else [[cell] for cell in old]
            told = [told_ah] if together else [told_ah[[number]] for number in range(len(old))]
            lives = [lived(tables, knobs, cells, ah) for cells, ah in zip(groups, told, strict=True)]
            capacity, soc = (np.concatenate(errors) for errors in zip(*lives, strict=True))
            what = f"{name.removesuffix('.xlsx')}, {len(old)} cells, {variant}"
            found.append(row(f"{what}: SOC by rest, rms", 100.0 * _rms(soc), "%"))
            found.append(row(f"{what}: capacity, rms", 100.0 * _rms(capacity), "%"))
    return found


def _rms(errors: Floats) -> float:
    return float(np.sqrt(np.mean(errors**2)))


if __name__ == "__main__":
    show(rows())
