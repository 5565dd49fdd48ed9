"""Any words in any answer of a solar or an old battery inverter: nothing raises, nothing missing becomes a number."""

from math import inf, isfinite, isnan, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.dialects.sunspec.inverter import INVERTERS, MEASURED, InverterReading
from firmware_bridge.dialects.sunspec.model import Events, load_model
from firmware_bridge.dialects.sunspec.pcs_legacy import LegacyPcsBank
from firmware_bridge.dialects.sunspec.pv import PvBank, PvMaster
from firmware_bridge.dialects.sunspec.pv_bank import CLASSIC, DER
from firmware_bridge.dialects.sunspec.setpoint import REVERT_MOST_S
from firmware_bridge.dialects.sunspec.storage_rates import BLOCK, StorageRates
from firmware_bridge.frames import Answer, Request
from tests.bridge.test_sunspec_garbage import WORD, WORDS, Noise
from tests.bridge.test_sunspec_legacy import OldStage, declared
from tests.bridge.test_sunspec_pcs import RATINGS
from tests.bridge.test_sunspec_pv import RATED_W, Roof

SCRIPT = st.lists(st.tuples(WORDS, st.booleans()), max_size=60)


def answers(requests: list[Request], words: tuple[int, ...], now_s: float, *, whole: bool) -> list[Answer]:
    """The same words for all, cut or repeated to the length that was asked for where `whole`."""
    filled = [(words * 130)[: request.count] if whole and words else words for request in requests]
    return [Answer(request, given_words, "", now_s) for request, given_words in zip(requests, filled, strict=True)]


@given(SCRIPT, st.floats(), st.booleans())
def test_an_old_inverter_that_answers_anything_is_never_armed_without_its_models(
    script: list[tuple[tuple[int, ...], bool]], set_w: float, run: bool
) -> None:
    master, now_s = declared(), 0.0
    for words, whole in script:
        now_s += 0.1
        requests = master.ask(set_w, run, now_s)
        assert not any(request.is_write for request in requests)
        master.hear(answers(requests, words, now_s, whole=whole), now_s)
        picture = master.picture(now_s)
        assert not picture.armed
        assert isnan(picture.w)


@given(SCRIPT, st.floats())
def test_a_solar_inverter_that_answers_anything_never_raises_and_has_no_power(
    script: list[tuple[tuple[int, ...], bool]], limit_w: float
) -> None:
    master, now_s = PvMaster(), 0.0
    for words, whole in script:
        now_s += 0.1
        requests = master.ask(limit_w, now_s)
        assert not any(request.is_write for request in requests)
        master.hear(answers(requests, words, now_s, whole=whole), now_s)
        assert isnan(master.picture(now_s).w)


@given(st.sampled_from(INVERTERS), st.lists(WORD, min_size=52, max_size=52), WORD, st.floats(0, 1e6))
def test_no_words_make_power_of_a_value_or_a_scale_factor_that_is_missing(
    model: int, words: list[int], scale: int, rated_w: float
) -> None:
    points = load_model(model).points
    said = tuple(words[: MEASURED[model].count])
    reading = InverterReading("inverter", model, Events(), 10.0)
    if model == 701:
        reading.hear_scale((scale,))
    reading.hear(said, 1.0, rated_w)
    at = points["W"].offset
    missing = said[at] == 0x8000
    if model < 110:
        missing = missing or not -10 <= _signed(said[points["W_SF"].offset]) <= 10
    elif model == 701:
        missing = missing or not -10 <= _signed(scale) <= 10
    else:
        missing = (said[at] & 0x7F80) == 0x7F80  # floating point: not a number, or infinite
    assert isnan(reading.w) or (not missing and isfinite(reading.w) and abs(reading.w) <= 1.5 * rated_w)


def _signed(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word


GOOD = {"WChaMax": 6000, "WChaMax_SF": 1, "InOutWRte_SF": 0xFFFE, "StorCtl_Mod": 3, "InOutWRte_RvrtTms": 12}
GOOD |= {"OutWRte": 0, "InWRte": 0, "ChaGriSet": 1, "ChaState": 5000, "ChaState_SF": 0xFFFE, "ID": 124, "L": 24}


@given(st.lists(st.tuples(st.sampled_from(sorted(GOOD)), WORD), max_size=4), st.booleans())
def test_rates_are_armed_only_by_a_declaration_and_a_read_back_that_says_so(
    changes: list[tuple[str, int]], said_so: bool
) -> None:
    points = load_model(124).points
    words = [0xFFFF] * BLOCK.count
    for name, word in [*GOOD.items(), *changes]:
        words[points[name].offset] = word
    meant = {name: words[points[name].offset] for name in GOOD}
    rates = StorageRates(40_000, Events(), fallback_is_zero=said_so)
    for beat in range(3):  # static words are believed when read twice alike; the third follows a write of 0 W
        rates.hear(words, beat * 0.1)
        rates.requests(0.0, beat * 0.1)
    if rates.armed(0.3):
        assert said_so
        assert meant["StorCtl_Mod"] == 3
        assert 0 < meant["InOutWRte_RvrtTms"] <= REVERT_MOST_S
        assert all(
            abs(_signed(meant[name])) <= 10.0 ** -_signed(meant["InOutWRte_SF"]) for name in ("OutWRte", "InWRte")
        )
        assert meant["WChaMax"] not in (0, 0xFFFF)
        assert -10 <= _signed(meant["WChaMax_SF"]) <= 10
    assert rates.armed(0.3) or not said_so or changes
    assert not rates.armed(3.5)  # a read-back grows old


@settings(max_examples=30, deadline=None)
@given(
    st.integers(-2, 1),
    st.floats(1_000, 60_000),
    st.floats(1_000, 60_000),
    st.floats(-70_000, 70_000),
    st.floats(-60_000, 60_000),
)
def test_a_set_point_survives_the_wire_at_any_scale_never_larger_than_asked_and_never_an_empty_window(
    scale: int, charge_w: float, discharge_reference_w: float, wanted_w: float, own_w: float
) -> None:
    bank = LegacyPcsBank(RATINGS, rate_scale=scale, own_w=own_w, discharge_reference_w=discharge_reference_w)
    bank.put(124, {"WChaMax": charge_w})
    stage = OldStage(bank)
    stage.master = type(stage.master)(fallback_is_zero=True, discharge_reference_w=discharge_reference_w)
    picture = stage.beats(4, wanted_w)[-1]
    charge_w = bank.get(124, "WChaMax")
    most_w = bank.get(124, "OutWRte") / 100 * discharge_reference_w
    least_w = -bank.get(124, "InWRte") / 100 * charge_w
    asked_w = min(max(wanted_w, -picture.charge_w), picture.discharge_w)
    step_w = 10.0**scale / 100 * max(charge_w, discharge_reference_w)
    assert picture.armed
    assert least_w <= most_w + 1e-6
    assert -100 <= bank.get(124, "OutWRte") <= 100
    assert -100 <= bank.get(124, "InWRte") <= 100
    assert max(abs(least_w), abs(most_w)) <= abs(asked_w) + 1e-6
    assert abs(stage.device_w - asked_w) <= 2 * step_w + 1e-6
    assert abs(stage.device_w) <= abs(asked_w) + 1e-6
    if not isnan(picture.set_w):
        assert abs(picture.set_w - asked_w) <= 2 * step_w + 1e-6


@settings(max_examples=30, deadline=None)
@given(st.integers(-2, 1), st.floats(0, RATED_W - 1), st.sampled_from([CLASSIC, DER]))
def test_a_limit_survives_the_wire_at_any_scale_and_is_never_above_what_is_meant(
    scale: int, limit_w: float, models: tuple[int, ...]
) -> None:
    roof = Roof(PvBank(RATED_W, models, percent_scale=scale))
    roof.beats(2)
    picture = roof.beats(2, limit_w)[-1]
    step_w = 10.0**scale / 100 * RATED_W
    assert limit_w - step_w - 1e-3 <= roof.allowed_w <= limit_w + 1e-3
    assert picture.limit_w == pytest.approx(roof.allowed_w)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.2, 0.7]))
def test_spoilt_answers_of_an_old_inverter_never_ask_for_more_than_its_rating(seed: int, share: float) -> None:
    stage = OldStage(between=Noise(seed, share))
    for beat in range(300):
        picture = stage.beat(1e9 if beat % 2 else -1e9)
        assert -100 <= stage.bank.get(124, "OutWRte") <= 100
        assert -100 <= stage.bank.get(124, "InWRte") <= 100
        assert isfinite(picture.w) or isnan(picture.w)
        assert picture.age_s >= 0
        assert picture.charge_w >= 0 or isnan(picture.charge_w)
        assert picture.discharge_w >= 0 or isnan(picture.discharge_w)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.2, 0.7]), st.sampled_from([CLASSIC, DER]))
def test_spoilt_answers_of_a_solar_inverter_never_raise(seed: int, share: float, models: tuple[int, ...]) -> None:
    roof = Roof(PvBank(RATED_W, models), between=Noise(seed, share))
    for beat in range(300):
        picture = roof.beat((inf, 0.0, nan, 30_000)[beat // 20 % 4])
        assert isfinite(picture.w) or isnan(picture.w)
        assert picture.age_s >= 0
        assert picture.limit_w >= 0 or isnan(picture.limit_w)


def test_a_long_night_of_noise_ends_well_once_the_line_is_clean() -> None:
    noise = Noise(7, 0.5)
    stage, roof = OldStage(between=noise), Roof(between=noise)
    stage.beats(200, 20_000)
    roof.beats(200, 20_000)
    assert noise.spoilt > 300
    noise.share = 0.0
    stage.beats(200, 20_000)
    assert stage.beat(20_000).armed
    assert roof.beats(30, 20_000)[-1].limit_w == 20_000


@given(
    st.lists(st.tuples(st.integers(39_990, 40_400), st.lists(st.integers(0, 0xFFFF), max_size=12)), max_size=30),
    st.sampled_from([CLASSIC, DER]),
)
def test_the_banks_survive_any_master(writes: list[tuple[int, list[int]]], models: tuple[int, ...]) -> None:
    pcs, roof = LegacyPcsBank(RATINGS), PvBank(RATED_W, models)
    for at, words in writes:
        pcs.write(at, words)
        roof.write(at, words)
        assert -50_000 <= pcs.control(1.0).set_w <= 60_000
        assert roof.control(1.0) >= 0
