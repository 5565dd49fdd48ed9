"""An aligned string of unlike cells, one of which drifts: weeks of it in seconds."""

from tests.core.drift_campaign import campaign

STEP_S = 600.0


def test_a_cell_that_comes_to_stand_too_full_is_bled_and_nobody_else() -> None:
    found = campaign("full", 3, days=24.0, step_s=STEP_S)
    assert found.owed_without > 0.017
    assert found.owed < 0.015
    assert found.odd_bled > 0.004
    assert found.others_bled < 0.001
    assert found.in_vain < 0.001
    assert found.usable > found.usable_without + 0.004
    assert found.commissioned_h == 0.0


def test_a_large_cell_that_leaks_stands_in_nobodys_way_and_nobody_is_bled_for_it() -> None:
    found = campaign("large", 2, days=10.0, step_s=STEP_S)
    assert found.odd_bled == 0.0
    assert found.others_bled < 0.001
    assert found.usable > 0.999
