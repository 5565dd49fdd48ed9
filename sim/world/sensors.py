"""What instruments make of the truth: offset, gain and noise. Quantisation is the wire's own."""

from math import sqrt

import numpy as np

from firmware_bridge.records import TEMPERATURES_PER_MODULE, Floats, Ints, Layout
from sim.world.scenario import Sensors

CELL_OFFSET_CUT_V = 0.005
SAMPLE_S = 0.01  # the string box measures current in this time (wall time, as its frames come)


class Instruments:
    """All sensors of a site, each with its own fixed error. Draws from its own generator, sample by sample."""

    def __init__(self, layout: Layout, spec: Sensors, seed: int) -> None:
        """Solar inverters measure their own power as well as battery inverters do."""
        self._rng = rng = np.random.default_rng([seed, 1])
        self._layout, self._spec = layout, spec
        offset_v = rng.normal(0.0, spec.cell_offset_v_sd, layout.cells)
        self._cell_offset_v = np.clip(offset_v, -CELL_OFFSET_CUT_V, CELL_OFFSET_CUT_V)
        temperatures = (layout.modules, TEMPERATURES_PER_MODULE)
        self._cell_offset_k = rng.normal(0.0, spec.temperature_offset_k_sd, temperatures)
        self._board_offset_k = rng.normal(0.0, spec.temperature_offset_k_sd, layout.modules)
        self._current_gain = rng.normal(1.0, spec.current_gain_sd, layout.strings)
        self._current_offset_a = rng.normal(0.0, spec.current_offset_a_sd, layout.strings)
        self._string_gain = rng.normal(1.0, spec.string_gain_sd, (2, layout.strings))
        self._pcs_gain = rng.normal(1.0, spec.pcs_gain_sd, layout.cabinets)
        self._meter_gain = float(rng.normal(1.0, spec.meter_gain_sd))
        self._pv_gain = rng.normal(1.0, spec.pcs_gain_sd, layout.pvs)
        self._probed = _probed_cells(layout)

    def cell_v(self, true_v: Floats, sense_drop_v: Floats) -> Floats:
        """Cell voltages [cell] as the boards read them; a bled cell's sense wire drops voltage."""
        noise_v = self._spec.cell_noise_v * self._rng.standard_normal(len(true_v))
        return true_v + (self._cell_offset_v - sense_drop_v + noise_v)

    def module_c(self, cell_c: Floats) -> Floats:
        """The four sensors of each module [module, 4], spread evenly over its cells."""
        noise_k = self._spec.temperature_noise_k * self._rng.standard_normal(self._probed.shape)
        return np.asarray(cell_c[self._probed] + (self._cell_offset_k + noise_k))

    def board_c(self, true_c: Floats) -> Floats:
        """Board temperatures [module]."""
        return true_c + self._board_offset_k

    def string_a(self, mean_a: Floats, samples: float) -> Floats:
        """Mean of so many current samples [string]."""
        noise_a = self._spec.current_noise_a / sqrt(max(samples, 1.0)) * self._rng.standard_normal(len(mean_a))
        return mean_a * self._current_gain + self._current_offset_a + noise_a

    def string_v(self, true_v: Floats, true_bus_v: Floats) -> tuple[Floats, Floats]:
        """Voltages on both sides of the contactors [string]."""
        both = np.stack((true_v, true_bus_v)) * self._string_gain
        both += self._spec.string_noise_v * self._rng.standard_normal(both.shape)
        return both[0], both[1]

    def insulation_ohm(self, true_ohm: Floats) -> Floats:
        """Insulation monitors [string]."""
        noise = self._spec.insulation_noise_share * self._rng.standard_normal(len(true_ohm))
        return np.maximum(true_ohm * (1 + noise), 0.0)

    def pcs_w(self, true_w: Floats) -> Floats:
        """The inverters' own power measurement [cabinet]."""
        return true_w * self._pcs_gain + self._spec.pcs_noise_w * self._rng.standard_normal(len(true_w))

    def pv_w(self, true_w: Floats) -> list[float]:
        """The solar inverters' own power measurement, one a [pv]; at night they read nothing."""
        noise_w = self._spec.pcs_noise_w * self._rng.standard_normal(len(true_w))
        seen_w: list[float] = np.where(true_w > 0.0, np.maximum(true_w * self._pv_gain + noise_w, 0.0), 0.0).tolist()
        return seen_w

    def meter(self, true_w: float) -> tuple[float, float, float]:
        """Grid power, phase voltage and frequency: the last two waver as a living meter's do."""
        power, volts, hertz = self._rng.standard_normal(3).tolist()
        return true_w * self._meter_gain + self._spec.meter_noise_w * power, 230.0 + 0.4 * volts, 50.0 + 0.01 * hertz


def _probed_cells(layout: Layout) -> Ints:
    """[module, 4] the cells that carry the temperature sensors."""
    cells = np.bincount(layout.cell_module)
    share = np.linspace(0.0, 1.0, TEMPERATURES_PER_MODULE)
    return layout.first_cell[:, None] + np.rint((cells[:, None] - 1) * share).astype(np.int64)
