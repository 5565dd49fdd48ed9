"""Real cells, from the folder beside the checkout (or ESS_DATA): what needs them skips where it is absent."""

import pytest

from tests.measured import DATA

CELLS = DATA / "cells"
DMEGC = CELLS / "dmegc18650"
LEAF = CELLS / "nissan_leaf"

needs_cells = pytest.mark.skipif(not DMEGC.is_dir(), reason=f"measured cells are not at {CELLS} (ESS_DATA)")
