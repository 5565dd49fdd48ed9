"""What a metered series costs under a tariff, and how `ess bill` tells it."""
