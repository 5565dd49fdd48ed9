"""Every cell as the page's wall shows it: where it sits, what it has, null where it is not heard."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ess_controller.doors.live import answer
from ess_controller.doors.orders import Orders
from ess_controller.told.cell_picture import every_cell
from tests.core.pictures import tuning
from tests.loop.story import Story


def test_each_cell_is_told_once_with_its_module_and_place() -> None:
    beat, layout = Story(1.0).beats[-1], tuning().layout
    told = every_cell(tuning(), beat)
    modules = [module for string in told["strings"] for module in string["modules"]]
    assert [module["code"] for module in modules] == list(layout.module_names)
    assert sum(len(module["v"]) for module in modules) == layout.cells
    cells_v = [v for module in modules for v in module["v"]]
    assert cells_v == pytest.approx(beat.seen.cell_v.tolist(), abs=1e-4)
    assert all(len(module["v"]) == len(module["soc"]) == len(module["bleeds"]) for module in modules)


def test_what_is_not_heard_is_null_and_all_of_it_is_plain_json() -> None:
    beat = Story(1.0).beats[-1]
    cell_v = beat.seen.cell_v.copy()
    cell_v[3] = np.nan
    told = every_cell(tuning(), replace(beat, seen=replace(beat.seen, cell_v=cell_v)))
    assert told["strings"][0]["modules"][0]["v"][3] is None
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_the_window_shows_cells_beside_the_picture() -> None:
    asked = b'{"get": "cells"}'
    assert answer(asked, lambda: None, Orders(), lambda: {"strings": []}) == {"strings": []}
    assert "error" in answer(asked, lambda: {"site": "bench"}, Orders())
