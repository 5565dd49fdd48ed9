"""Who looks at each beat besides the plant: the log of changes, the run's totals, the systemd watchdog."""

import json
import logging
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ess_controller.core.health import DIAGNOSES, STOPS
from ess_controller.core.types import Mode, Tuning
from ess_controller.daemon import Beat
from ess_controller.told.odd_cells import behind, odd_cells
from ess_controller.told.picture import SCHEMA_VERSION, limits, waits_for
from firmware_bridge.guard import in_words
from firmware_bridge.plant import Plant
from firmware_bridge.records import Floats, Layout

log = logging.getLogger("ess")

SETTLED_S = 1.0
"""Rules shade power all day, which status and boards tell; the log tells when closed strings may do nothing at all, and
only once it has stayed so for this long: an inverter that is being armed is no news, nor a wire being opened."""

WAITS_LONG_S = 10.0  # wall time after which a string that does not start is worth a line: devices are found by then

LOOK_AT_WIRES_S = 0.25

_RUN = int(Mode.RUN)
_LIES_OPEN = np.array([mode in (Mode.OFF, Mode.WAKE) for mode in Mode])


class ChangeLog:
    """Logs changes, one line each: modes, diagnoses, what stops power, what the guard changed, what wires report."""

    def __init__(self, tuning: Tuning, plant: Plant) -> None:
        self._tuning, self._layout, self._plant = tuning, tuning.layout, plant
        layout = tuning.layout
        self._mode = np.full(layout.strings, int(Mode.WAKE))
        self._active = np.zeros((len(DIAGNOSES), layout.strings), bool)
        self._stopped = np.zeros(layout.cabinets, bool)
        self._shut_s = np.zeros(layout.cabinets)
        self._wire_s = np.inf  # no time passes before the first beat
        self._trips = np.zeros(layout.cabinets, np.int64)
        self._told_waiting = np.zeros(layout.strings, bool)
        self._lain_s = np.zeros(layout.strings)
        self._up = dict.fromkeys(plant.wires(), True)  # as told
        self._looked_s = np.nan
        self._turned_s: dict[str, float] = {}  # since when a wire has not been as told

    def __call__(self, beat: Beat) -> None:
        """Tell what is different from the beat before."""
        if not beat.tick.wire_s - self._looked_s < LOOK_AT_WIRES_S:
            self._looked_s = beat.tick.wire_s
            self._wires(beat.tick.wire_s)
        for line in self._plant.take_events():
            log.info("%s", line)
        self._strings(beat)
        self._waiting(beat)
        self._limits(beat)
        self._guard(beat)

    def _wires(self, now_s: float) -> None:
        """One line for all wires that go down together, and one when they are back."""
        health = {name: wire.health for name, wire in self._plant.wires().items()}
        turned = [name for name, up in self._up.items() if health[name].up != up]
        self._turned_s = {name: self._turned_s.get(name, now_s) for name in turned}
        if now_s - min(self._turned_s.values(), default=now_s) < SETTLED_S:
            return
        if down := [f"{name} ({health[name].trouble or 'nothing heard yet'})" for name in turned if self._up[name]]:
            log.warning("down: %s", ", ".join(down))
        if up := [name for name in turned if not self._up[name]]:
            log.info("up again: %s", ", ".join(up))
        self._up |= {name: not self._up[name] for name in turned}  # health may have changed under our hands

    def _strings(self, beat: Beat) -> None:
        """One line a string and beat: where it goes, and what has come up or is over."""
        active, mode = beat.decision.active, beat.state.mode
        changed = (active != self._active).any(axis=0) | (mode != self._mode)
        for string in np.flatnonzero(changed):
            come, gone = active[:, string] & ~self._active[:, string], self._active[:, string] & ~active[:, string]
            parts = []
            if mode[string] != self._mode[string]:
                before, after = Mode(int(self._mode[string])), Mode(int(mode[string]))
                parts.append(f"{before.name.lower()} -> {after.name.lower()}")
            for row in np.flatnonzero(come).tolist():
                cells = behind(odd_cells(self._tuning, beat.seen, beat.state, row, int(string)))
                parts.append(f"{DIAGNOSES[row].name}: {DIAGNOSES[row].action}{cells}")
            if gone.any():
                parts.append("over: " + ", ".join(DIAGNOSES[row].name for row in np.flatnonzero(gone)))
            level = logging.ERROR if (come & STOPS[:, 0]).any() else logging.WARNING if come.any() else logging.INFO
            log.log(level, "%s: %s", self._layout.string_names[string], "; ".join(parts))
        self._active, self._mode = active, mode

    def _waiting(self, beat: Beat) -> None:
        """What keeps a string open for long without a fault that says so, once."""
        since_s = max(beat.tick.wire_s - self._wire_s, 0.0)
        self._lain_s = np.where(_LIES_OPEN[beat.state.mode], self._lain_s + since_s, 0.0)
        long = self._lain_s >= WAITS_LONG_S
        for string in np.flatnonzero(long & ~self._told_waiting):
            reason = waits_for(self._tuning, beat, int(string)) or "its contactors to be seen open"
            log.warning("%s: waits for %s", self._layout.string_names[string], reason)
        self._told_waiting = long

    def _limits(self, beat: Beat) -> None:
        bound, layout = beat.decision.cabinet_bound, self._layout
        carrying = np.logical_or.reduceat(beat.state.mode == _RUN, layout.first_string)
        shut = carrying & (bound.charge == 0.0) & (bound.discharge == 0.0)
        self._shut_s = np.where(shut, self._shut_s + beat.tick.wire_s - self._wire_s, 0.0)
        self._wire_s = beat.tick.wire_s
        told = self._shut_s >= SETTLED_S
        for cabinet in np.flatnonzero(told & ~self._stopped):
            reason = limits(beat.decision, int(cabinet), layout)["discharge_by"]
            log.warning("%s: 0 W because of %s", layout.cabinet_names[cabinet], reason)
        self._stopped = told

    def _guard(self, beat: Beat) -> None:
        for cabinet in np.flatnonzero(beat.trips & ~self._trips):
            log.error("%s: guard cut a command: %s", self._layout.cabinet_names[cabinet], in_words(beat.trips[cabinet]))
        self._trips = beat.trips


class Totals:
    """What a run amounted to: beats, energy at the inverters, cell extremes, guard trips."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.beats = 0
        self.late_beats = 0
        self.in_ws = self.out_ws = 0.0
        self.cell_v = self.cell_c = (np.nan, np.nan)  # lowest, highest
        self.guard_trips = 0
        self._trips = np.zeros(layout.cabinets, np.int64)

    def __call__(self, beat: Beat) -> None:
        """Add a beat."""
        self.beats += 1
        self.late_beats = beat.late_beats
        for pcs_w in beat.seen.pcs_w.tolist():
            if pcs_w < 0.0:  # NaN is neither
                self.in_ws -= pcs_w * beat.tick.dt_s
            elif pcs_w > 0.0:
                self.out_ws += pcs_w * beat.tick.dt_s
        self.cell_v = _extremes(self.cell_v, beat.seen.cell_v)
        self.cell_c = _extremes(self.cell_c, beat.seen.module_c)
        self.guard_trips += int(np.count_nonzero((beat.trips != 0) & (self._trips == 0)))
        self._trips = beat.trips

    def summary(self) -> dict[str, Any]:
        """The keys that scripts rely on."""
        low_v, high_v, low_c, high_c = (None if np.isnan(x) else float(x) for x in (*self.cell_v, *self.cell_c))
        return {
            "schema_version": SCHEMA_VERSION,
            "beats": self.beats,
            "late_beats": self.late_beats,
            "cells": self._layout.cells,
            "energy_in_kwh": self.in_ws / 3.6e6,
            "energy_out_kwh": self.out_ws / 3.6e6,
            "cell_v_min": low_v,
            "cell_v_max": high_v,
            "cell_c_min": low_c,
            "cell_c_max": high_c,
            "guard_trips": self.guard_trips,
        }

    def save(self, path: Path, **more: Any) -> dict[str, Any]:
        """Write the summary, and more keys, in one piece: a reader never sees half of it. A disk that does not take it
        is told."""
        summary = self.summary() | more
        draft = path.with_suffix(".part")
        try:
            draft.write_text(json.dumps(summary, indent=2) + "\n")
            draft.replace(path)
        except OSError as trouble:
            log.error("%s: cannot be written: %s", path, trouble.strerror)
            with suppress(OSError):
                draft.unlink(missing_ok=True)
        return summary


def _extremes(so_far: tuple[float, float], values: Floats) -> tuple[float, float]:
    """Lowest and highest of what was and what is; NaN where nothing was ever heard."""
    lowest, highest = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)
    return float(np.fmin(so_far[0], lowest)), float(np.fmax(so_far[1], highest))


class Watchdog:
    """Tells systemd at the end of each good beat that we live (sd_notify(3)); does nothing elsewhere."""

    def __init__(self, address: str | None = None) -> None:
        address = address or os.environ.get("NOTIFY_SOCKET")
        self._to = "\0" + address[1:] if address and address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) if address else None
        self._word = b"READY=1\nWATCHDOG=1"

    def __call__(self, beat: Beat) -> None:
        """A good beat has ended."""
        if self._socket is None or self._to is None:
            return
        try:
            self._socket.sendto(self._word, self._to)
            self._word = b"WATCHDOG=1"
        except OSError:  # systemd is busy or gone: it will tell us in its own way
            pass
