"""A report as one HTML file that needs nothing else: to read on a screen, to print on A4, to send."""

from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

from ess_controller.report import plots
from ess_controller.report.sections import Cell, battery, cells, co2, data, events, forecast, limits, peaks
from ess_controller.report.style import CSS
from ess_controller.report.words import Lang, words

Say = plots.Say
WAYS = ("without", "rule", "done")
FAIR = (
    "All ways are compared alike: from blocks that were heard, by their mean powers; demand by the highest block. What "
    "was bought and sold within one block is the same on all sides."
)
BEFORE = "Before it the daemon did not run here: that time is billed the same on all sides, and nothing is saved in it"
RULE_IS_FREE = "The rule is reckoned as if cells bounded nothing between empty and full."
SLIDING = (
    "What was done is billed by windows that slide. Without the battery and by the rule only blocks are known: what "
    "was saved of the demand is reckoned by blocks on all sides."
)
TOO_LITTLE = "lost of what was taken: not known, too little flowed"
NO_DOUBT = "lost of what was taken: not known, nobody noted how sure is what was stored"
LOWER, AS_PLANNED = "so far the month's demand is lower by", "As planned at the day's beginning"


def page(told: dict[str, Any], lang: Lang) -> str:
    """The report of `gather` as HTML."""
    say = words(lang)
    title = say("Report of the day" if told["kind"] == "day" else "Report of the month")
    body = [
        f"<header><div><h1>{escape(told['site'])} · {title} {told['period']}</h1></div><p>{told['zone']}</p></header>",
        _cards(told, say),
        *_pictures(told, say),
        *_money(told, say),
        *(_section(each, say) for each in (battery(told, say), peaks(told, say), limits(told, say))),
        *(_section(each, say) for each in (cells(told, say), co2(told, say), forecast(told, say))),
        *(_section(each, say) for each in (events(told, say), data(told, say))),
        _notes(told, say),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(told["site"])} '
    head += f"{told['period']}</title><style>{CSS}</style>"
    tongue = "zh-CN" if lang == "zh" else "en"
    return f'<!DOCTYPE html>\n<html lang="{tongue}"><head>{head}</head><body>{"".join(body)}</body></html>\n'


def _cards(told: dict[str, Any], say: Say) -> str:
    money, battery_, carbon = told["money"], told["battery"], told["carbon"]
    whole = battery_["all"] if battery_ else {}
    peak = max((each["kw"] for way in ("done", "sliding") for each in told["peaks"][way]), default=None)
    share, doubt = whole.get("loss_share"), whole.get("loss_share_sd")
    not_told = TOO_LITTLE if whole.get("doubt_noted") else NO_DOUBT
    lost = "lost of what was taken" if share is not None or not whole else not_told
    minutes = f"{told['peaks']['block_s'] / 60:g} min"
    windows = f"{say('highest import')}, {say('sliding' if told['peaks']['sliding'] else 'block of')} {minutes}"
    saved = money["saved_cny"] if money else {"against_no_battery": None, "against_rule": None}
    rows = (
        (saved["against_no_battery"], "{:+,.2f} CNY", "saved against no battery"),
        (saved["against_rule"], "{:+,.2f} CNY", "saved against the rule of the hour"),
        (peak, "{:,.1f} kW", windows),
        (whole.get("efc"), "{:.2f}", "cycles (EFC)"),
        (None if share is None else 100.0 * share, f"{{:.1f}} ± {100.0 * (doubt or 0.0):.1f} %", lost),
        (carbon["bought_kg"] if carbon else None, "{:,.0f} kg", "CO2 of what was bought"),
    )
    beneath = [*_beside(money["stored_more_cny"] if money else None, say), *[""] * (len(rows) - 2)]
    shown = "".join(
        f'<div class="card"><b>{"–" if value is None else form.format(value)}</b><span>{say(name)}</span>{more}</div>'
        for (value, form, name), more in zip(rows, beneath, strict=True)
    )
    return f'<div class="cards">{shown}</div>'


def _beside(stored: dict[str, float | None] | None, say: Say) -> tuple[str, str]:
    """What more is stored than without a battery, where nothing is, and than by the rule: beside what was saved."""
    if stored is None or stored["done"] is None or stored["rule"] is None:
        return "", ""
    of, how = say("stored beside that"), say("estimated")
    none, rule = (f"{of}: ≈ {cny:+,.2f} CNY ({how})" for cny in (stored["done"], stored["done"] - stored["rule"]))
    return f"<span>{none}</span>", f"<span>{rule}</span>"


def _pictures(told: dict[str, Any], say: Say) -> Iterator[str]:
    if told["kind"] == "day":
        yield f"<h2>{say('Power')}</h2><figure>{plots.day_power(told, say)}</figure>"
        yield f"<h2>{say('State of charge')}</h2><figure>{plots.day_soc(told, say)}</figure>"
        return
    days = told["money"]["days"] if told["money"] else []
    if days:
        yield f"<h2>{say('Saved day by day')}</h2><figure>{plots.month_saved(days, say)}</figure>"
        yield f"<h2>{say('Energy of the battery')}</h2><figure>{plots.month_energy(days, say)}</figure>"
        peaks_ = plots.month_peaks(days, told["peaks"]["contract_kw"], say)
        yield f"<h2>{say('Highest import of each day')}</h2><figure>{peaks_}</figure>"


# --- money ------------------------------------------------------------------------------------------------------------


def _money(told: dict[str, Any], say: Say) -> Iterator[str]:
    money = told["money"]
    yield f"<h2>{say('Money')}</h2>"
    if money is None:
        yield f'<p class="quiet">{say("No tariff: no money is told.")}</p>'
        return
    counts = told["kind"] == "month"
    parts = [("own sun stored", "own_sun"), ("price shifts", "price_shifts"), ("demand", "demand"), ("other", "other")]
    known = [(say(name), money["saved_by"][key]) for name, key in parts if money["saved_by"][key] is not None]
    yield f"<h3>{say('what saved it')}</h3>{plots.shares(known, 'CNY')}"
    if not counts and money["saved_cny"]["month_so_far_demand"]:
        lower = money["saved_cny"]["month_so_far_demand"]
        yield f'<p class="quiet">{say(LOWER)} {lower:,.2f} CNY</p>'
    yield f"<h3>{say('Bill by item')}</h3>"
    rows = list(_bill_rows(money["items"], WAYS, say))
    if counts:
        rows += _bill_rows(money["monthly_items"], WAYS, say)
        sums = {way: money["energy_cny"][way] + money["monthly_cny"][way] for way in WAYS}
    else:
        sums = money["energy_cny"]
    head = [say("item"), say("price"), *(say(each) for each in ("without", "by the rule", "done"))]
    yield table(head, [*rows, [say("together"), "", *(Cell(f"{sums[way]:,.2f} CNY") for way in WAYS)]], last_sums=True)
    if not counts and money["monthly_items"]:
        yield f"<h3>{say('month so far')}</h3>"
        yield table(head, _bill_rows(money["monthly_items"], WAYS, say))
    yield from _slid(money, say)
    stored = money["stored_more_cny"]
    if stored["done"] is not None:
        yield (
            f'<p class="quiet">{say("more stored at the end than at the start, at what refilling costs")}: '
            f"{say('done')} {stored['done']:+,.2f}, {say('by the rule')} {stored['rule']:+,.2f} CNY "
            f"({say('on no bill')})</p>"
        )
    yield from _planned(told, say)
    if money["counted_from"] is not None:
        begin = money["counted_from"][:16].replace("T", " ")
        yield f'<p class="quiet">{say("counted from")} {begin}. {say(BEFORE)}.</p>'
    yield f'<p class="quiet">{say(FAIR)} {say(RULE_IS_FREE)}</p>'


def _slid(money: dict[str, Any], say: Say) -> Iterator[str]:
    """Where what is billed goes by other windows than what is compared."""
    for row in money["monthly_items"] if money["demand_windows"]["done"] == "sliding" else []:
        if row["done_by_blocks"] != row["done"]:
            was = row["done_by_blocks"]
            by_blocks = f"{was['quantity']:,.1f} {row['unit']}, {was['cny']:,.2f} CNY"
            text = f"{say(row['item'])}, {say('done')}, {say('by blocks')}: {by_blocks}. {say(SLIDING)}"
            yield f'<p class="quiet">{escape(text)}</p>'


def _bill_rows(items: Iterable[dict[str, Any]], ways: Iterable[str], say: Say) -> Iterator[list[Any]]:
    for row in items:
        each = [Cell(f"{row[way]['cny']:,.2f}", f"{row[way]['quantity']:,.1f} {row['unit']}") for way in ways]
        yield [say(row["item"]), Cell(f"{row['price_cny']:.4f}"), *each]


def _planned(told: dict[str, Any], say: Say) -> Iterator[str]:
    plan = told["money"]["planned"]
    if plan is None:
        if told["no_plan"]:
            yield f'<p class="quiet">{say("No kept plan")}: {escape(say(told["no_plan"]))}</p>'
        return
    yield f"<h3>{say(AS_PLANNED)}</h3>"
    head = [say("item"), say("price"), say("without"), say("planned")]
    ways = ("planned_without", "planned")
    sums = [Cell(f"{plan['energy_cny'][way]:,.2f} CNY") for way in ways]
    yield table(head, [*_bill_rows(plan["items"], ways, say), [say("together"), "", *sums]], last_sums=True)
    doubts = "; ".join(map(say, plan["doubts"]))
    yield (
        f'<p class="quiet">{say("saved by the plan")} {plan["saved_cny"]:+,.2f} CNY, '
        f"{say('on the load and sun expected then')} ({say('made')} {plan['made'][:16].replace('T', ' ')} UTC, "
        f"{plan['blocks']}/{plan['of_blocks']}){'; ' if doubts else ''}{escape(doubts)}</p>"
    )


# --- pieces -----------------------------------------------------------------------------------------------------------


def table(head: Iterable[str], rows: Iterable[Iterable[Any]], *, last_sums: bool = False) -> str:
    """Numbers are `Cell`s: to the right, with a quiet second line where they have one."""
    lines = [list(row) for row in rows]
    right = [isinstance(each, Cell) for each in lines[0]] if lines else []
    titles = "".join(
        f'<th class="n">{name}</th>' if at < len(right) and right[at] else f"<th>{name}</th>"
        for at, name in enumerate(head)
    )
    body = []
    for number, line in enumerate(lines):
        mark = ' class="sum"' if last_sums and number == len(lines) - 1 else ""
        body.append(f"<tr{mark}>{''.join(map(_cell, line))}</tr>")
    return f'<div class="scroll"><table><thead><tr>{titles}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def _cell(value: Any) -> str:
    if isinstance(value, Cell):
        second = f'<div class="quiet">{escape(value.quiet)}</div>' if value.quiet else ""
        return f'<td class="n">{escape(value.text)}{second}</td>'
    return f"<td>{escape(str(value))}</td>"


def _section(found: tuple[str, list[str], list[list[Any]], list[str]], say: Say) -> str:
    """Title, head, rows, notes: nothing at all where there is neither row nor note."""
    title, head, rows, notes = found
    if not rows and not notes:
        return ""
    quiet = "".join(f'<p class="quiet">{escape(each)}</p>' for each in notes)
    return f"<h2>{say(title)}</h2>{table(map(say, head), rows) if rows else ''}{quiet}"


def _notes(told: dict[str, Any], say: Say) -> str:
    if not told["notes"]:
        return ""
    return f"<h2>{say('Notes')}</h2>" + "".join(f'<p class="quiet">{escape(say(each))}</p>' for each in told["notes"])
