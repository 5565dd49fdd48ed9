"""What is reported of why: the decision with the rule that limits it, what every rule takes, the plan, the daemon."""

from functools import partial

import numpy as np

from ess_controller.core.worth import Worth
from ess_controller.telemetry.columns import count, number, one, text
from ess_controller.telemetry.line_protocol import Field, Measurement
from ess_controller.telemetry.moment import Moment
from ess_controller.told.reasons import CHARGE, DISCHARGE
from ess_controller.told.rows import RULE_NAMES
from firmware_bridge.records import Floats

DECISION_S, LIMIT_S, PLAN_S, DAEMON_S = 10.0, 30.0, 60.0, 10.0


def _way(way: str) -> tuple[Field[Moment], ...]:
    """Of charging or discharging: the limit, who says so and since when, and who would if that rule were lifted."""
    return (
        number(f"{way}_limit_w", "W", 1, "what may flow", lambda m: getattr(m.beat.decision.cabinet_bound, way)),
        text(f"{way}_by", "the rule that says so", lambda m: [rule for rule, _ in m.by(way)]),
        text(f"{way}_at", "the cell, module or string it names", lambda m: [at for _, at in m.by(way)]),
        number(f"{way}_since_s", "s", 1, "how long that rule has acted", lambda m: m.since_s(way)),
        number(
            f"{way}_nameplate_w", "W", 1, "what the inverter is built for", lambda m: m.arbitration[way].nameplate_w
        ),
        number(f"{way}_next_w", "W", 1, "what could flow without that rule", lambda m: m.arbitration[way].next_w),
        text(
            f"{way}_next_by",
            "the rule that would act then",
            lambda m: [RULE_NAMES[row] for row in m.arbitration[way].next_by.tolist()],
        ),
    )


DECISION = Measurement(
    "decision",
    ("site", "cabinet"),
    DECISION_S,
    (
        *_way(CHARGE),
        *_way(DISCHARGE),
        number("set_w", "W", 1, "what the inverter is told", lambda m: m.beat.commands.pcs_w),
        count("guard", "bits of what the guard cut (guard.in_words)", lambda m: m.beat.trips.astype(np.float64)),
    ),
    "why power is limited; also at every change of rule, at most once a second",
)


def _each_rule(moment: Moment, name: str) -> Floats:
    """[way, rule, cabinet] as one row after the other."""
    return np.concatenate([getattr(moment.arbitration[way], name).ravel() for way in (CHARGE, DISCHARGE)])


LIMIT = Measurement(
    "limit",
    ("site", "cabinet", "way", "rule"),
    LIMIT_S,
    (
        number(
            "word_w", "W", 1, "what this rule alone would let flow; none: no say", partial(_each_rule, name="word_w")
        ),
        number(
            "lost_w",
            "W",
            1,
            "what it takes of what milder rules leave: with what may flow, the nameplate",
            partial(_each_rule, name="lost_w"),
        ),
    ),
    "what each rule takes of an inverter's power, charging and discharging (InfluxQL wants this name in quotes)",
)


def _worth(name: str, unit: str, digits: int, says: str, scale: float = 1.0) -> Field[Moment]:
    def get(moment: Moment) -> Floats:
        found: Worth | None = moment.worth
        return one(np.nan if found is None else scale * getattr(found, name))

    plain = name.replace("_per_wh", "_per_kwh").replace("_per_w", "_per_kw") if scale != 1.0 else name
    return number(plain, unit, digits, says, get)


PLAN = Measurement(
    "plan",
    ("site",),
    PLAN_S,
    (
        number(
            "price_cny_per_kwh", "CNY/kWh", 4, "of the tariff in this hour", lambda m: m.outside("price_cny_per_kwh")
        ),
        _worth("buy_cny_per_wh", "CNY/kWh", 4, "of a kWh from the grid, as planned with", 1000.0),
        _worth("sell_cny_per_wh", "CNY/kWh", 4, "of a kWh to the grid", 1000.0),
        _worth("stored_cny_per_wh", "CNY/kWh", 4, "what one more that is stored saves later", 1000.0),
        _worth("gives_above_cny_per_wh", "CNY/kWh", 4, "energy is given where it saves more", 1000.0),
        _worth("takes_below_cny_per_wh", "CNY/kWh", 4, "energy is taken where it costs less", 1000.0),
        _worth("peak_cny_per_w", "CNY/kW", 3, "what a month's peak that is higher would cost", 1000.0),
        _worth("stored_wh", "Wh", 1, "above what must stay"),
        number("month_peak_w", "W", 1, "highest billing window of the month", lambda m: one(m.month_peak_w)),
        number("age_s", "s", 1, "since the plan was made", lambda m: m.outside("plan_age_s")),
        number("history_days", "d", 2, "that it has learnt from", lambda m: m.outside("history_days")),
        text("trouble", "why it does not act; none: it does", lambda m: [m.beat.decision.order.unplanned]),
    ),
    "what the plan goes by now",
)
DAEMON = Measurement(
    "daemon",
    ("site",),
    DAEMON_S,
    (
        count("late_beats", "of this run", lambda m: one(m.beat.late_beats)),
        *(
            count(name, says, lambda m, name=name: m.outside(name))  # type: ignore[misc]
            for name, says in (
                ("beats_dropped", "beats of this run that could not be reported"),
                ("outbox_batches", "waiting for InfluxDB"),
                ("outbox_lines", "waiting for InfluxDB"),
                ("outbox_bytes", "waiting, compressed"),
                ("lines_sent", "that InfluxDB acknowledged, since the outbox was made"),
                ("lines_dropped", "never sent: disk full or over budget"),
                ("lines_dead", "refused by InfluxDB, kept aside"),
                ("rss_bytes", "memory of the control process that is resident"),
            )
        ),
        number("outbox_age_s", "s", 1, "how old the oldest is that waits", lambda m: m.outside("outbox_age_s")),
        number("cpu_share", "1", 4, "of one core, by the control process", lambda m: m.outside("cpu_share")),
        number("beat_s", "s", 3, "plant time since the beat before", lambda m: one(m.beat.tick.dt_s)),
    ),
    "the daemon about itself",
)
REASONS: tuple[Measurement[Moment], ...] = (DECISION, LIMIT, PLAN, DAEMON)
