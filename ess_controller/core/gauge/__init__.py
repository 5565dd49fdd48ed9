"""The fuel gauge: how full, how large and how stiff each cell is, learnt from its current and voltage."""
