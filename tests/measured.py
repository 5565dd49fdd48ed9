"""Where measured cells, loads and suns are, which the checkout does not ship: a folder beside it, or ESS_DATA."""

import os
from pathlib import Path

DATA = Path(os.environ.get("ESS_DATA", Path(__file__).parents[2] / "shared/data"))
