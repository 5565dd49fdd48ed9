"""Two runs compared: what differs is found at its first beat, by how much, how much later, and why."""

from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ess_controller.core.types import Mode, Order, Rule
from ess_controller.daemon import Beat
from ess_controller.errors import BadInputError
from ess_controller.replay.diff import Comparison, told
from ess_controller.replay.journal import Journal, read_head
from ess_controller.replay.moments import journal_files, journal_lives, last_file_before
from ess_controller.replay.player import play
from ess_controller.replay.settings import changed
from ess_controller.replay.signals import Translator, signals_of, vocabulary
from ess_controller.replay.wave import STEPS, waves
from ess_controller.site import Site
from firmware_bridge.records import Tick
from tests.loop.story import BENCH, NOON, Story, site

RESTS_FROM_S, RESTS_UNTIL_S = 20.0, 26.0


def order(tick: Tick) -> Order:
    """An operator who lets the site rest for a while."""
    return Order(run=not RESTS_FROM_S <= tick.t_s < RESTS_UNTIL_S)


@cache
def story() -> Story:
    """A run with an operator in it."""
    return Story(36.0, seed=11, order=order)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Its journal, in several files."""
    journal = Journal(tmp_path, story().site.plant, 100_000_000, file_bytes=40_000)
    for beat in story().beats:
        journal(beat)
    journal.close()
    assert len(journal_files([tmp_path])) > 3
    return tmp_path


def compared(files: list[Path], place: Site | None = None) -> Comparison:
    """Recorded against now."""
    place = place or site()
    comparison = Comparison(place.plant.layout)

    def look(moment: object, beat: Beat) -> None:
        entry = getattr(moment, "entry", None)
        assert entry is not None
        comparison.add(beat.tick, entry.signals, signals_of(beat))

    play(place, journal_lives(files, place.plant), look)
    return comparison


def ticks(count: int) -> list[Tick]:
    """Beats of a tenth of a second."""
    return [Tick(0.1 * n, 0.1, 0.1 * n, NOON + timedelta(seconds=0.1 * n)) for n in range(count)]


# --- journals ---------------------------------------------------------------------------------------------------------


def test_a_run_with_an_operator_in_it_is_lived_through_exactly(folder: Path) -> None:
    comparison = compared(journal_files([folder]))
    assert comparison.beats == len(story().beats)
    assert {"pcs_w", "pcs_run", "contactor", "mode", "diagnosis", "discharge_by"} <= comparison.compared
    assert not comparison.differences, told(comparison, ("recorded", "now"))


def test_a_run_is_lived_through_exactly_from_any_of_its_files_on(folder: Path) -> None:
    files = journal_files([folder])
    for start in range(1, len(files)):
        comparison = compared(files[start:])
        assert 0 < comparison.beats < len(story().beats)
        assert not comparison.differences, (start, told(comparison, ("recorded", "now")))


def test_a_file_missing_in_the_middle_begins_another_life_and_not_a_difference(folder: Path) -> None:
    files = journal_files([folder])
    comparison = compared([*files[:1], *files[2:]])
    assert comparison.beats < len(story().beats)
    assert not comparison.differences


def test_two_runs_in_one_folder_are_two_lives(folder: Path) -> None:
    journal = Journal(folder, story().site.plant, 100_000_000)
    for beat in story().beats[:50]:
        journal(beat)
    journal.close()
    place, count = site(), []
    lives = play(
        place, journal_lives(journal_files([folder]), place.plant), lambda _, beat: count.append(beat.tick.t_s)
    )
    assert (lives, len(count)) == (2, len(story().beats) + 50)


def test_to_look_at_an_hour_no_earlier_file_is_needed(folder: Path) -> None:
    files = journal_files([folder])
    assert last_file_before(files, lambda tick: tick.t_s >= 0.0) == files
    late = last_file_before(files, lambda tick: tick.t_s >= 30.0)
    assert 0 < len(late) < len(files)
    assert late == files[-len(late) :]


def test_a_changed_limit_is_found_in_the_beat_in_which_it_first_binds(folder: Path) -> None:
    place = site()
    tuned = replace(place.tuning, limits=replace(place.tuning.limits, rated_a=10.0))
    comparison = compared(journal_files([folder]), replace(place, tuning=tuned))
    power = comparison.differences["pcs_w", 0]
    watts = np.array([beat.commands.pcs_w[0] for beat in story().beats])
    bound_w = power.other
    assert 2000.0 < bound_w < 4000.0  # 10 A at 350 V
    first = int(np.flatnonzero(watts > bound_w)[0])
    assert power.first.t_s == pytest.approx(story().beats[first].tick.t_s, abs=0.11)
    assert power.is_command
    causes = {
        (cause.signal, Rule(int(cause.other))) for cause in comparison.causes(power) if cause.signal.endswith("_by")
    }
    assert ("discharge_by", Rule.CELL_VOLTAGE) in causes or ("discharge_by", Rule.STRING_CURRENT) in causes
    text = "\n".join(told(comparison, ("recorded", "now")))
    assert "pcs_w A: first at 2026-01-15 04:00:" in text
    assert "with discharge_by A: grid export ->" in text


def test_a_journal_of_other_wires_is_refused(folder: Path) -> None:
    place = site()
    (cabinet,) = place.plant.cabinets
    (string,) = cabinet.strings
    smaller = replace(cabinet, strings=(replace(string, modules=string.modules[:-1]),))
    with pytest.raises(BadInputError, match="recorded at a site with other modules on their buses: 10 there, 9 in"):
        compared(journal_files([folder]), replace(place, plant=replace(place.plant, cabinets=(smaller,))))


def test_what_is_no_journal_is_told_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="holds none"):
        journal_files([tmp_path])
    (tmp_path / "x.journal").write_bytes(b"ESS journal 9\n{}\n")
    with pytest.raises(BadInputError, match=r"x\.journal: not a journal.*of a newer kind"):
        compared(journal_files([tmp_path]))


def test_a_torn_head_costs_the_moment_before_and_nothing_else(folder: Path) -> None:
    file = journal_files([folder])[1]
    whole = file.read_bytes()
    magic, _, rest = whole.split(b"\n", 2)
    for head in (b"", b"{", b"[]", b'{"plant": 1, "names": 2, "before": "x"}'):
        file.write_bytes(magic + b"\n" + head + b"\n" + rest)
        assert read_head(file).before is None
        assert compared([file]).beats > 0


# --- the comparison ---------------------------------------------------------------------------------------------------


def run_of(values: list[float], signal: str = "pcs_w") -> list[dict[str, tuple[float, ...]]]:
    """One device."""
    return [{signal: (value,)} for value in values]


def of(one: list[float], other: list[float], signal: str = "pcs_w") -> Comparison:
    """Two runs of one signal of one device."""
    comparison = Comparison(site().plant.layout)
    for tick, a, b in zip(ticks(len(one)), run_of(one, signal), run_of(other, signal), strict=True):
        comparison.add(tick, a, b)
    return comparison


@pytest.mark.parametrize("lag", [-7, -1, 1, 3, 25])
def test_what_only_comes_later_or_earlier_is_told_so(lag: int) -> None:
    wave = [1000.0 * np.sin(n / 9.0) * (40 < n < 90) for n in range(140)]
    other = list(np.roll(wave, lag))
    (found,) = of(wave, other).in_order
    assert found.lag_beats() == lag
    line = told(of(wave, other), ("then", "now"))[2]
    assert f"{abs(lag) / 10:.1f} s {'later' if lag > 0 else 'earlier'}" in line


def test_what_is_another_value_is_no_lag() -> None:
    wave = [1000.0 * (n > 40) for n in range(140)]
    (found,) = of(wave, [value / 2 for value in wave]).in_order
    assert found.lag_beats() is None
    assert found.first.t_s == pytest.approx(4.1)
    assert (found.beats, found.largest) == (99, 500.0)


values = st.lists(st.one_of(st.just(float("nan")), st.floats(-1e6, 1e6)), min_size=1, max_size=60)


@given(values)
def test_a_run_never_differs_from_itself(run: list[float]) -> None:
    assert not of(run, run).differences


@given(values, values)
def test_every_beat_that_differs_is_counted_once(one: list[float], other: list[float]) -> None:
    count = min(len(one), len(other))
    a, b = np.array(one[:count]), np.array(other[:count])
    unlike = (a != b) & ~(np.isnan(a) & np.isnan(b))
    comparison = of(one[:count], other[:count])
    assert comparison.differing == unlike.sum()
    for found in comparison.in_order:
        assert found.beats == unlike.sum()
        assert found.first.t_s == pytest.approx(0.1 * np.flatnonzero(unlike)[0])
    assert told(comparison, ("a", "b"))


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=1, max_size=50))
def test_any_numbers_make_a_wave_of_their_length(run: list[float]) -> None:
    drawn, plain = waves([np.array(run)])[0], waves([np.array(run)], plain=True)[0]
    assert len(drawn) == len(plain) == len(run)
    assert plain.isascii()
    assert set(drawn) <= {*STEPS, "·"}


def test_a_journal_with_older_names_is_read_in_those_of_today() -> None:
    now = vocabulary()
    assert Translator.of(now) is None
    then = now | {"rule": ["NEVER_HEARD_OF", *now["rule"]], "diagnosis": now["diagnosis"][::-1]}
    translate = Translator.of(then)
    assert translate is not None
    last = len(now["diagnosis"]) - 1
    told = translate({"charge_by": (1.0, 0.0), "diagnosis": (1.0, 0.0), "mode": (float(Mode.RUN),), "pcs_w": (5.0,)})
    assert told["charge_by"] == (0, 1000)
    assert told["diagnosis"] == (1 << last, 0)
    assert (told["mode"], told["pcs_w"]) == ((Mode.RUN,), (5.0,))


# --- one key changed --------------------------------------------------------------------------------------------------

TEXT = (BENCH / "site.toml").read_text()


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("limits.rated_a=120", "rated_a = 120"),
        ("dispatch.rule=setpoint", 'rule = "setpoint"   #'),
        ("dispatch.peak_w = inf", "peak_w = inf "),
        ("limits.charge_by_soc=[[0.8, 1.0], [0.9, 0.0]]", "charge_by_soc = [[0.8, 1.0], [0.9, 0.0]]"),
    ],
)
def test_one_key_is_changed_and_every_line_stays_where_it_is(setting: str, line: str) -> None:
    after = changed(TEXT, setting)
    assert after.count("\n") == TEXT.count("\n")
    differing = [b for a, b in zip(TEXT.split("\n"), after.split("\n"), strict=True) if a != b]
    assert len(differing) == 1
    assert differing[0].startswith(line)


def test_a_key_of_the_third_module_is_that_of_the_third_module() -> None:
    after = changed(TEXT, "cabinet[0].string[0].module[2].soh=0.5")
    assert changed(after, "cabinet[0].string[0].module[2].soh=0.81") == TEXT


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("limits", "expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("limits.rated=3", "expected a key of the site file: here are rated_a"),
        ("limits=3", "expected a key of this table: rated_a"),
        ("cabinet[4].name=B", "expected a key of the site file: here are 1 elements"),
        ("limits.rated_a[0]=3", "expected a key of the site file"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(setting: str, expected: str) -> None:
    with pytest.raises(BadInputError, match="--set") as told:
        changed(TEXT, setting)
    assert expected in str(told.value)
