"""The support file of `ess bundle`: what to send when something went wrong, without secrets."""
