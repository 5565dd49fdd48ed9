"""The cheapest plan for what is sure: a linear programme, its numbers, its search and what stands in for it."""
