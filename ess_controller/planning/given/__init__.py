"""What every plan starts from: batteries and their limits, a series of load and sun, its calendar and its prices."""
