"""The world: cells, cabinets and premises that speak the same bytes as the real ones."""
