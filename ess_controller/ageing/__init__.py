"""How modules age: a daily history of every cell, its health, a forecast that says how sure it is, and a verdict."""
