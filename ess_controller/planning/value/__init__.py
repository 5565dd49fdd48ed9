"""The value function: what stored energy and a month's peak are worth under doubt, made anew from what was measured."""
