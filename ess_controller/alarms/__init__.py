"""Alarms that reach somebody: what is wrong and what to do, kept in a book, delivered, acknowledged by name.

For pages and commands, `ess_controller.alarms.answer`: on the daemon's `home`, none of it waits for the alarm process:

    open_alarms(home) -> list of dicts, worst first: id, kind, place, what, level (info, notice, derate, stop, error),
        at (positions), parts (module codes), number, text {en, zh}, advice {en, zh}, came_utc, gone_utc (set: may be
        over soon), over_utc, times, ack {name, note, at_utc} or null, told [{channel, phase, at_utc}]
    history(home, most) -> the same of the last comings, newest first
    failing_channels(home) -> [{name, trouble, since_utc}]
    acknowledge(home, alarm_id, name, note, now) -> None, or BadInputError in one sentence for the user

The book is alarms.sqlite; a site whose file has no table [alarms] has none, and nothing is open there.
"""
