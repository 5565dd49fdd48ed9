"""Foretells errors of forecasts by what was known when they were made: run by an interpreter that has scikit-learn.

python trees.py GIVEN.npz TAUGHT.npy

Each week is foretold by trees that all other weeks have taught, those before it and those after it.
"""

import importlib
import sys
from typing import Any

import numpy as np

PARTS = 6  # of the weeks, each foretold by what the others taught
SHARE = 0.3  # of the errors, that teach: those of one day are alike
TREES = {"max_iter": 200, "learning_rate": 0.04, "min_samples_leaf": 400, "l2_regularization": 5.0, "max_features": 0.5}
SEED = 0


def main(given: str, taught: str) -> None:
    """GIVEN: `of_origin` [origin, any], `of_lead` [origin, lead, any], `missed_w` [origin, lead] (NaN: not known) and
    `week` [origin]. TAUGHT: the errors foretold, W [origin, lead]."""
    known = np.load(given)
    of_origin, of_lead, missed_w = (known[name] for name in ("of_origin", "of_lead", "missed_w"))
    part, foretold_w = known["week"] % PARTS, np.zeros(missed_w.shape)
    chosen = np.isfinite(missed_w) & (np.random.default_rng(SEED).random(missed_w.shape) < SHARE)
    for each in range(PARTS):
        teach = chosen & (part != each)[:, None]
        origin, _ = np.nonzero(teach)
        trees = _made()
        trees.fit(np.hstack((of_origin[origin], of_lead[teach])), missed_w[teach])
        asked = np.flatnonzero(part == each)
        rows = np.hstack((np.repeat(of_origin[asked], missed_w.shape[1], axis=0), np.concatenate(of_lead[asked])))
        foretold_w[asked] = trees.predict(rows).reshape(len(asked), -1)
    np.save(taught, foretold_w)


def _made() -> Any:
    return importlib.import_module("sklearn.ensemble").HistGradientBoostingRegressor(**TREES, random_state=SEED)


if __name__ == "__main__":
    main(*sys.argv[1:])
