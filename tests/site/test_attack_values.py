"""Absurd numbers in a site file that the door lets in: the controller must work with them, or the door is too wide."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.core.step import first_state, step
from ess_controller.core.types import Order
from ess_controller.site import Site, SiteError
from ess_controller.site.places import KeyPath
from firmware_bridge.guard import guard
from firmware_bridge.records import Measurements
from tests.core.pictures import tick, well
from tests.site.site_files import loaded, whole, with_value

ABSURD = (-1e9, -1.0, 0.0, 1e-12, 1e-3, 0.999, 1.0, 7.0, 1e3, 1e6, 1e9, 1e15, 1e300, -1, 0, 1, 15, 255, 2**31, 2**63)


def numbers(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Every place of a number in a table."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from numbers(inner, (*path, index))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


PLACES = [path for path in numbers(whole()) if path[-2:-1] != ("module",) or path[-1] in (0, 1)]


def pictures(site: Site) -> Iterator[Measurements]:
    """Well and idle; importing; sun to spare; nobody heard."""
    layout = site.plant.layout
    for changes in ({}, {"grid_w": 150_000.0}, {"grid_w": -90_000.0, "pv_w": np.full(layout.pvs, 25_000.0)}):
        yield well(layout, **changes)
    mute = well(layout)
    nothing = np.full(layout.cells, np.nan)
    yield replace(mute, cell_v=nothing, grid_w=np.nan, string_a=np.full(layout.strings, np.nan))


def drive(site: Site) -> None:
    """Some beats of thought on every picture."""
    tuning, state = site.tuning, first_state(site.tuning)
    for number, seen in enumerate(picture for picture in pictures(site) for _ in range(4)):
        order = Order(set_w=(None, 20_000.0, -20_000.0)[number % 3])
        state, decision = step(tuning, state, seen, order, tick(site.period_s * number, site.period_s))
        told, _ = guard(tuning.envelope, tuning.layout, seen, decision.commands)
        assert np.isfinite(told.pcs_w).all()
        assert (np.abs(told.pcs_w) <= tuning.envelope.pcs_w_max).all()
        assert (told.pv_limit_w >= 0.0).all()


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(ABSURD)), min_size=1, max_size=2))
def test_whatever_number_the_door_lets_in_the_controller_works_with_it(changes: list[tuple[KeyPath, float]]) -> None:
    table = whole()
    for path, value in changes:
        table = with_value(table, path, value)
    with TemporaryDirectory() as folder:
        try:
            site = loaded(Path(folder), table)
        except SiteError:
            return
    drive(site)
