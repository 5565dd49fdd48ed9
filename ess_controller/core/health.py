"""What is wrong with a string: a table of conditions, each with its debounce, its level and what to do about it."""

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from ess_controller.core.estimate import obeying
from ess_controller.core.gauge.gap import after_wrong_current
from ess_controller.core.gauge.sensors import Quality
from ess_controller.core.types import GATEWAY_S, Mode, State, Tuning
from firmware_bridge.records import Bools, Contact, Contactor, Floats, Ints, Measurements, Tick


class Level(IntEnum):
    """Notice: told. Derate: the limits act on it. Stop: contactors open."""

    NOTICE = 1
    DERATE = 2
    STOP = 3


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One row of the table. A condition counts up while it holds and down while it does not."""

    name: str
    level: Level
    after_s: float | None  # how long it must hold; None: ModeTuning.lost_open_wire_s
    on_wire: bool  # counted in wall time (communication) instead of plant time
    latched: bool  # stays until an operator has looked
    action: str


DIAGNOSES = (
    Diagnosis("cells silent", Level.STOP, None, True, False, "check module power and the module bus"),
    Diagnosis("string box silent", Level.STOP, None, True, False, "check string box power and its bus"),
    Diagnosis("cell over-voltage", Level.STOP, 0.5, False, False, "stop charging; inspect the cell named"),
    Diagnosis("cell under-voltage", Level.STOP, 0.5, False, False, "recharge slowly; inspect the cell named"),
    Diagnosis("cell over-temperature", Level.STOP, 2.0, False, False, "check cooling; keep away until it is cold"),
    Diagnosis("string over-current", Level.STOP, 1.0, False, False, "check inverter set-point and current sensor"),
    Diagnosis("string voltage implausible", Level.STOP, 2.0, False, False, "compare box and cells with a meter"),
    Diagnosis("contactors welded", Level.STOP, 1.0, True, True, "they stay closed: cut the string off by hand"),
    Diagnosis("neighbour welded", Level.STOP, 0.0, True, False, "its cabinet's bus stays live: see the welded string"),
    Diagnosis("contactors not closed", Level.STOP, 0.5, True, False, "check string box power, E-stop and interlock"),
    Diagnosis("string box fault", Level.STOP, 0.3, True, False, "read the box's fault bits"),
    # Somebody may be working on it, trusting that it stays open.
    Diagnosis("disabled at gateway", Level.STOP, 0.1, True, False, "out of service until it is enabled at its gateway"),
    Diagnosis("insulation low", Level.STOP, 5.0, False, True, "do not touch; find the earth fault"),
    # The hard-wired chain has opened the contactors already; here it is seen, told, and kept from closing unasked: a
    # button that is pulled out again must not start anything by itself (ISO 13850, 4.1.4).
    Diagnosis("E-stop pressed", Level.STOP, 0.1, True, True, "find out why, pull it out, then clear"),
    Diagnosis("interlock open", Level.STOP, 0.1, True, True, "close plugs and covers, then clear"),
    Diagnosis("smoke", Level.STOP, 0.1, True, True, "keep away, call the fire brigade"),
    Diagnosis("gas", Level.STOP, 0.1, True, True, "keep away and let it air: a cell may have vented"),
    # What waited for an operator is not known: it may have been a deep cell, an earth fault or smoke.
    Diagnosis("memory lost", Level.STOP, 0.0, True, True, "look at every module and contact, then clear"),
    # It reads back what it was told and does something else: a wrong reference or sign. 12 s, as its own fallback may
    # take: one that comes down more slowly is none that contactors could wait for.
    Diagnosis("inverter disobeys", Level.DERATE, 12.0, True, True, "it gives more than it is told: see its settings"),
    # SOC would run the wrong way, and every prediction with it.
    Diagnosis("current counts backwards", Level.STOP, 0.5, False, True, "turn the current sensor round, then clear"),
    Diagnosis("deep discharge", Level.DERATE, 0.5, False, False, "replace the module; its string is not charged"),
    Diagnosis("module errors", Level.NOTICE, 1.0, True, False, "read the module's error bits"),
    Diagnosis("cell readings odd", Level.NOTICE, 30.0, False, False, "check sense wires and board of the cells told"),
    Diagnosis("cell file doubtful", Level.NOTICE, 60.0, False, False, "its cells are others: fit a cell file to them"),
    Diagnosis("door open", Level.NOTICE, 5.0, True, False, "close the cabinet's door"),
    Diagnosis("remote I/O silent", Level.NOTICE, 5.0, True, False, "check the remote I/O's power and its bus"),
    # Limits look at every voltage and need not know whose it is; nothing is learnt of these cells meanwhile.
    Diagnosis("sense wires swapped", Level.NOTICE, 1.0, False, False, "put the cells told back onto their own wires"),
)
CONTACTS = (Contact.ESTOP, Contact.INTERLOCK, Contact.SMOKE, Contact.GAS, Contact.DOOR)
BOX_SILENT, WELDED, SMOKE, GAS, MEMORY_LOST, DISOBEYS = (
    [row.name for row in DIAGNOSES].index(name)
    for name in ("string box silent", "contactors welded", "smoke", "gas", "memory lost", "inverter disobeys")
)
_NOTICED = (
    int(Quality.REVERSED),
    int(Quality.STUCK | Quality.JUMPS),
    int(Quality.DOUBTFUL),
    int(Quality.SWAPPED),
)
_NOTICED_SHARE = np.array([[0.0], [0.0], [0.5], [0.0]])  # of a string's cells
STOPS = np.array([[row.level == Level.STOP] for row in DIAGNOSES])
ON_WIRE = np.array([[row.on_wire] for row in DIAGNOSES])
LATCHES = np.array([[row.latched] for row in DIAGNOSES])
ON_LOSS = np.array([[row.after_s is None] for row in DIAGNOSES])
AFTER_S = np.array([[row.after_s or 0.0] for row in DIAGNOSES])
IMPLAUSIBLE_V, IMPLAUSIBLE_SHARE = 3.0, 0.03
"""How far a string box's voltage may be from the sum of the cells (foxBMS: 3 V), busbars and their drop included."""
DISOBEYS_SHARE = 0.1  # of its rating: so far beyond what it was told; meters and rounding are good for 5 %
# Python 3.11 looks an enum's member up slowly: what the beat needs stands here as plain numbers.
_UNKNOWN, _OPEN, _CLOSED = int(Contactor.UNKNOWN), int(Contactor.OPEN), int(Contactor.CLOSED)
_CARRIES = np.array([mode in (Mode.RUN, Mode.RELEASE, Mode.TRIPPED) for mode in Mode])
_BITS: Ints = np.array([[int(contact)] for contact in CONTACTS])
_IS_WELDED = np.array([[row == WELDED] for row in range(len(DIAGNOSES))])
_LIES_OPEN = np.array([mode in (Mode.OFF, Mode.FAULT) for mode in Mode])


def conditions(tuning: Tuning, state: State, seen: Measurements) -> Bools:
    """What holds right now, [diagnosis, string], in the order of DIAGNOSES."""
    knobs, layout = tuning.mode, tuning.layout
    hottest_c = seen.module_hot_c
    of_modules = np.array((np.isnan(hottest_c), hottest_c > knobs.trip_cell_c_max, seen.module_error != 0))
    silent, hot, erring = np.logical_or.reduceat(of_modules, layout.first_module, axis=1)
    cell_v = seen.cell_v
    of_cells = np.array((np.isnan(cell_v), cell_v > knobs.trip_cell_v_max, cell_v < knobs.trip_cell_v_min, state.deep))
    unheard, high, low, deep = np.logical_or.reduceat(of_cells, layout.first_cell_of_string, axis=1)

    estop, interlock, smoke, gas, door, mute = contacts(tuning, seen)
    cells_v = np.add.reduceat(cell_v, layout.first_cell_of_string)
    backwards, odd, doubtful, swapped = _noticed(tuning, state)
    feedback = seen.string_contactor
    unknown = feedback == _UNKNOWN
    return np.array(
        (
            unheard | silent,
            np.isnan(seen.string_a + seen.string_v) | unknown,
            high,
            low,
            hot,
            np.abs(seen.string_a) > knobs.trip_a,
            np.abs(seen.string_v - cells_v) > IMPLAUSIBLE_V + IMPLAUSIBLE_SHARE * cells_v,
            _LIES_OPEN[state.mode] & (feedback > _OPEN),
            _beside(tuning, state.latched[WELDED]),
            _CARRIES[state.mode] & (feedback >= _OPEN) & (feedback < _CLOSED),  # fallen open, or stuck in precharge
            seen.string_fault != 0,
            seen.string_disabled,
            seen.string_insulation_ohm < knobs.insulation_ohm_min,
            estop,
            interlock,
            smoke,
            gas,
            np.zeros(layout.strings, np.bool_),  # memory lost: found at the start, it never holds anew
            disobeying(state, seen)[layout.string_cabinet],
            backwards,
            deep,
            erring,
            odd,
            doubtful,
            door,
            mute,
            swapped,
        )
    )


def _noticed(tuning: Tuning, state: State) -> Bools:
    """What the fuel gauge has noticed of each string's readings [4, string]: current that counts backwards, cells that
    stick or jump, a cell file that most of its cells do not fit, and cells that show each other's voltage."""
    layout, quality = tuning.layout, state.gauge.quality
    if not np.count_nonzero(quality):
        return np.zeros((len(_NOTICED), layout.strings), np.bool_)
    of_cells = np.array([(quality & bits) > 0 for bits in _NOTICED])
    share = np.add.reduceat(of_cells, layout.first_cell_of_string, axis=1, dtype=np.float64)
    share /= np.add.reduceat(np.ones(layout.cells), layout.first_cell_of_string)
    found: Bools = share > _NOTICED_SHARE
    return found


def looked_at(tuning: Tuning, state: State) -> State:
    """What an operator's clearing forgets beside latches: which way current sensors count, and what their cells have
    learnt by it. Once a string is open for it, no current could ever tell that its sensor has been turned round."""
    gauge = state.gauge
    wrong = gauge.quality & int(Quality.REVERSED) > 0
    if not np.count_nonzero(wrong):
        return state
    anew = after_wrong_current(tuning.cells, gauge, wrong)
    zero = np.zeros_like(gauge.watched.events)
    watched = replace(gauge.watched, answer=zero, events=zero)
    return replace(state, gauge=replace(anew, watched=watched, quality=gauge.quality & ~int(Quality.REVERSED)))


def disobeying(state: State, seen: Measurements) -> Bools:
    """[cabinet] whose inverter says that it obeys and gives far more than it was told, or the other way round. One that
    gives less may have reasons of its own."""
    told_w, rated_w = state.power_w, np.maximum(seen.pcs_charge_w, seen.pcs_discharge_w)
    beyond_w = np.maximum(seen.pcs_w - np.maximum(told_w, 0.0), np.minimum(told_w, 0.0) - seen.pcs_w)
    does: Bools = obeying(seen) & (beyond_w > DISOBEYS_SHARE * rated_w)
    return does


def believed(tuning: Tuning, state: State, seen: Measurements) -> tuple[Measurements, Bools]:
    """The picture in which an inverter that has disobeyed is not armed, whatever it reads back, until an operator has
    looked; and which inverters these are [cabinet]."""
    astray: Bools = np.logical_or.reduceat(state.latched[DISOBEYS], tuning.layout.first_string)
    return (replace(seen, pcs_armed=seen.pcs_armed & ~astray) if np.count_nonzero(astray) else seen), astray


def _beside(tuning: Tuning, marked: Bools) -> Bools:
    """[string] whether another string of its cabinet is marked [string]."""
    if not np.count_nonzero(marked):
        return marked
    layout = tuning.layout
    others: Bools = np.add.reduceat(marked.astype(int), layout.first_string)[layout.string_cabinet] > marked
    return others


def contacts(tuning: Tuning, seen: Measurements) -> Bools:
    """What each string's cabinet reports, [contact, string]: CONTACTS in order, and that its remote I/O is silent."""
    layout = tuning.layout
    told = np.zeros((len(_BITS) + 1, layout.cabinets), bool)
    if layout.ios:
        heard = seen.io_contact >= 0
        told[:-1, layout.io_cabinet] = (seen.io_contact & _BITS > 0) & heard
        told[-1, layout.io_cabinet] = ~heard
    return told[:, layout.string_cabinet]


def _after_s(tuning: Tuning) -> Floats:
    """How long each condition must hold, [diagnosis, 1 or string]. A gateway on a slow line may be told to open, and
    read back, seconds later: that is no welded contactor."""
    after_s = np.where(ON_LOSS, tuning.mode.lost_open_wire_s, AFTER_S)
    if not any(tuning.by_gateway):
        return after_s
    return np.where(_IS_WELDED & np.array(tuning.by_gateway), np.maximum(after_s, GATEWAY_S), after_s)


def debounce(tuning: Tuning, state: State, holds: Bools, tick: Tick, clear: bool) -> tuple[Floats, Bools, Bools]:
    """Counts conditions up and down.

    Returns (bad_s [diagnosis, string], active [diagnosis, string], latched [diagnosis, string]). A condition acts when
    it has held long enough and in at least two beats, however long a beat is; a latched one until `clear`.
    """
    if not (np.count_nonzero(holds) or np.count_nonzero(state.bad_s) or np.count_nonzero(state.latched)):
        return state.bad_s, holds, state.latched  # nearly always: all is well and was well
    after_s = _after_s(tuning)
    since_s = tick.wire_s - state.wire_s
    dt_s = np.where(ON_WIRE, 0.0 if np.isnan(since_s) else since_s, tick.dt_s)  # NaN: the first beat
    bad_s = np.where(holds, state.bad_s + dt_s, np.maximum(np.minimum(state.bad_s, after_s) - dt_s, 0.0))
    active = holds & (bad_s >= after_s) & (state.bad_s > 0.0)
    latched = active & LATCHES | state.latched & (not clear)
    return bad_s, active | latched, latched
