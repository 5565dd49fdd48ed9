"""What the page says in English and Chinese: one table of its own words, and the daemon's words put into Chinese."""

from dataclasses import dataclass

from ess_controller.chinese.phrases import in_chinese

LANGUAGES = ("en", "zh")
WORDS: dict[str, tuple[str, str]] = {
    # screens
    "now": ("Now", "此刻"),
    "why": ("Limits", "限功率"),
    "yesterday": ("Yesterday", "昨日"),
    "alarms": ("Alarms", "告警"),
    "cells": ("Cells", "电芯"),
    "savings": ("Savings", "收益"),
    "service": ("Service", "运维"),
    "control": ("Control", "控制"),
    "login": ("Log in", "登录"),
    # the frame
    "language": ("中文", "English"),
    "theme": ("Light or dark", "浅色/深色"),
    "not_connected": (
        "Not connected to the daemon for {span}: numbers below are of then",
        "与控制程序失去连接已 {span}，以下数值为当时的数值",
    ),
    "stale": (
        "The last beat is {span} old: numbers below are of then",
        "最近一次数据距今 {span}，以下数值为当时的数值",
    ),
    "never": ("The daemon does not answer yet", "控制程序尚未应答"),
    "waiting": ("Waiting for the daemon", "正在等待控制程序"),
    "cannot_draw": (
        "This part ({name}) cannot be shown: the page's log tells why.",
        "此部分（{name}）无法显示，原因见页面日志。",
    ),
    "open_alarms": ("{count} to acknowledge", "{count} 条待确认"),
    # now
    "flows": ("Power now", "实时功率"),
    "grid": ("Grid", "电网"),
    "sun": ("Sun", "光伏"),
    "battery": ("Battery", "电池"),
    "load": ("Load", "负荷"),
    "net_load": ("Load less sun", "净负荷"),
    "imports": ("imports", "取电"),
    "exports": ("exports", "送电"),
    "charges": ("charges", "充电"),
    "discharges": ("discharges", "放电"),
    "rests": ("rests", "静置"),
    "held_back": ("held back to {kw} kW", "限发至 {kw} kW"),
    "residual": (
        "grid + battery + sun − load = {kw} kW",
        "电网 + 电池 + 光伏 − 负荷 = {kw} kW",
    ),
    "unknown_residual": ("not all meters are heard", "并非所有电表都有读数"),
    "state_of_charge": ("State of charge", "荷电状态"),
    "can_give": ("can give", "可放"),
    "can_take": ("can take", "可充"),
    "lowest_cell": ("lowest cell", "最低电芯"),
    "highest_cell": ("highest cell", "最高电芯"),
    "hottest": ("hottest", "最高温度"),
    "today": ("Today", "今日"),
    "planned": ("planned", "计划"),
    "done": ("done", "实际"),
    "without": ("without battery", "无电池"),
    "battery_done": ("battery, done", "电池（实际）"),
    "battery_planned": ("battery, planned", "电池（计划）"),
    "grid_done": ("grid", "电网"),
    "peak_so_far": ("month's peak so far", "本月至今最大需量"),
    "peak_today": ("today's peak", "今日最大需量"),
    "by_windows": ("highest {minutes}-minute window, sliding", "滑动 {minutes} 分钟窗口最大值"),
    "by_blocks": ("highest block of {minutes} min", "{minutes} 分钟时段最大值"),
    "price_now": ("price now", "当前电价"),
    "no_plan_kept": ("no plan of today is kept yet", "今日尚无已保存的计划"),
    "plan_sought": ("the plan is being made again to be shown: a moment", "正在重新生成计划以供显示，请稍候"),
    "plan_not_made": (
        "the plan is kept, but could not be made again to be shown",
        "计划已保存，但无法重新生成以供显示",
    ),
    "no_plan_then": ("no plan of that day is kept", "当日没有已保存的计划"),
    "no_plan_rule": ("this site goes by its rule of the hour: no plan", "本站按分时规则运行，无计划"),
    "no_site_file": (
        "start it with SITE to see plan, prices and money",
        "启动时给出 SITE 才能显示计划、电价和费用",
    ),
    "no_blocks": ("nothing metered yet today", "今日尚无计量数据"),
    "saved_today": ("saved today", "今日节省"),
    "without_stored": ("on the bill; what is stored is not in it", "仅账单差额，未计已储电量"),
    "stored_more": ("stored beside that", "另有储存"),
    "stored_note": (
        "estimated: {kwh} kWh since midnight, at what refilling costs in the cheapest hour; on no bill",
        "估计值：自零点起 {kwh} kWh，按最低价时段的补充成本计，不在账单上",
    ),
    "energy_cost": ("energy bought", "购电费"),
    "sun_made": ("sun made", "光伏发电"),
    "co2_today": ("CO₂ of the grid", "电网碳排放"),
    "co2_avoided": ("avoided by sun and battery", "光伏与电池减排"),
    "co2_stored": ("with what is stored, by the estimate", "含估计的储存电量"),
    "co2_source": (
        "{factor} kg/kWh: mean of the grid, {name} {year} ({notice})",
        "{factor} kg/kWh：{name} {year} 年电力平均排放因子（{notice}）",
    ),
    "money": ("Money and CO₂ today", "今日费用与碳排放"),
    "does": ("What it does", "正在做什么"),
    "wanted": ("wanted", "期望"),
    "told": ("told to the inverters", "下发给变流器"),
    "delivered": ("delivered", "实际"),
    "by": ("by", "依据"),
    # why
    "may_charge": ("may charge", "允许充电"),
    "may_discharge": ("may discharge", "允许放电"),
    "may_of": ("{may} {kw} of {whole} kW", "{may} {kw} kW（额定 {whole} kW）"),
    "of_nameplate": ("of {kw} kW", "额定 {kw} kW"),
    "all_of_it": ("nothing limits it", "没有限制"),
    "since": ("since {time}", "自 {time} 起"),
    "until": ("until", "解除条件"),
    "without_it": ("without it {kw} kW, by {rule}", "若解除则为 {kw} kW，受限于{rule}"),
    "nameplate": ("nameplate", "额定"),
    "allowed": ("allowed", "允许"),
    "wanted_done": ("Wanted, told, delivered", "期望、下发、实际"),
    "short_by": ("{kw} kW less than wanted", "比期望少 {kw} kW"),
    "apart_by": (
        "{kw} kW apart: on the way, or waiting for an inverter",
        "与期望相差 {kw} kW：正在变化或等待变流器",
    ),
    "as_wanted": ("as wanted", "与期望一致"),
    "worth": ("What the plan goes by", "计划依据"),
    "worth_buy": (
        "A kWh from the grid costs ¥{buy} now; one in the store will save ¥{stored}.",
        "此刻向电网购买 1 kWh 需 ¥{buy}，储存的 1 kWh 将节省 ¥{stored}。",
    ),
    "worth_turn": (
        "Giving is worth it where it saves more than ¥{gives}, taking where it costs less than ¥{takes}.",
        "放电节省超过 ¥{gives}/kWh 时放电，充电成本低于 ¥{takes}/kWh 时充电。",
    ),
    "worth_peak": (
        "The month's peak so far is {peak} kW; each kW above it would cost ¥{cost} as expected now.",
        "本月至今最大需量 {peak} kW，每超出 1 kW 预计多付 ¥{cost}。",
    ),
    "worth_none": (
        "No plan acts now ({trouble}); the rule of the hour stands in.",
        "当前无计划（{trouble}），按分时规则运行。",
    ),
    # yesterday
    "three_ways": ("Yesterday three ways", "昨日三种情形"),
    "bill_item": ("bill item", "账单项目"),
    "feed-in": ("feed-in", "上网电费"),
    "demand_billed": ("the same as billed, by windows that slide", "同上，按滑动窗口实际计费"),
    "demand_month": ("demand, this month so far", "需量电费（本月至今）"),
    "day_total": ("energy of the day", "当日电量费合计"),
    "peak_kw": ("highest import of a block, kW", "最大取电（按时段均值），kW"),
    "peak_billed": ("the same as billed, by windows that slide, kW", "同上，按滑动窗口实际计费，kW"),
    "saved": ("saved", "节省"),
    "planned_to_save": ("planned to save", "计划节省"),
    "no_yesterday": ("Nothing was metered yesterday.", "昨日没有计量数据。"),
    "plan_made": ("planned at {time}", "计划于 {time} 制定"),
    "known_share": ("{share} of the day was metered", "当日计量完整率 {share}"),
    # alarms
    "no_alarms": ("No alarms", "无告警"),
    "only_worst": (
        "The worst {count} are shown; `ess alarms` lists all.",
        "仅显示最严重的 {count} 条；`ess alarms` 列出全部。",
    ),
    "acknowledge": ("Acknowledge", "确认"),
    "acknowledged_by": ("acknowledged by {name} at {time}", "{name} 于 {time} 确认"),
    "log_in_first": ("Log in to acknowledge or to control", "登录后才能确认或控制"),
    "stop": ("stop", "停机"),
    "derate": ("derate", "降额"),
    "notice": ("notice", "提示"),
    "do_this": ("Do", "处理"),
    # cells
    "voltage": ("voltage", "电压"),
    "temperature": ("temperature", "温度"),
    "charge": ("SOC", "SOC"),
    "spread": ("spread", "极差"),
    "not_heard": ("not heard", "无数据"),
    "bleeding": ("balancing", "均衡中"),
    "module": ("Module", "模组"),
    "back_to_wall": ("All modules", "全部模组"),
    "at_intake": ("SOH at intake", "入库 SOH"),
    "smallest_cell": ("smallest cell", "最小电芯"),
    "capacity": ("capacity", "容量"),
    "resistance": ("resistance 10 s", "10 秒内阻"),
    "history": ("History", "历史"),
    "no_history": ("No day of it is kept yet.", "尚无历史记录。"),
    "throughput": ("throughput", "累计吞吐"),
    "days_kept": ("days kept", "记录天数"),
    "origin": ("origin", "来源"),
    # savings
    "last_days": ("Last {count} days", "最近 {count} 天"),
    "this_month": ("This month", "本月"),
    "saved_energy": ("saved on energy", "电量电费节省"),
    "saved_demand": ("saved on demand", "需量电费节省"),
    "before_battery": ("before the battery", "储能投运前"),
    "no_savings": ("No day has been reckoned yet.", "尚无已结算的日期。"),
    "date": ("date", "日期"),
    "peak_with": ("peak with, by blocks", "有电池需量（按时段）"),
    "peak_without": ("peak without, by blocks", "无电池需量（按时段）"),
    "peak_as_billed": ("peak as billed", "计费需量"),
    # service
    "wires": ("Wires", "通信线"),
    "name": ("name", "名称"),
    "state": ("state", "状态"),
    "up": ("up", "正常"),
    "down": ("down", "中断"),
    "received": ("received", "接收"),
    "sent": ("sent", "发送"),
    "lost": ("lost", "丢失"),
    "reconnects": ("reconnects", "重连"),
    "daemon": ("Daemon", "控制程序"),
    "late_beats": ("late beats", "延迟节拍"),
    "beat_age": ("age of the last beat", "最近节拍距今"),
    "journal": ("journal", "日志"),
    "stored_dropped": ("{stored} beats stored, {dropped} dropped", "已存 {stored} 拍，丢弃 {dropped}"),
    "outbox": ("outbox", "待发箱"),
    "outbox_told": (
        "{lines} points wait ({mb} MB), {sent} sent, {dropped} dropped, {dead} refused",
        "待发 {lines} 点（{mb} MB），已发 {sent}，丢弃 {dropped}，被拒 {dead}",
    ),
    "no_outbox": ("no database is configured", "未配置数据库"),
    "planner": ("planner", "计划程序"),
    "plan_age": ("age of the plan", "计划已制定"),
    "roof": ("roof", "屋顶"),
    "plan_told": ("plan {age} old, from {days} days of history", "计划已 {age}，依据 {days} 天历史"),
    "no_planner": ("none: the site's rule needs no plan", "无：本站规则不需要计划"),
    "jobs": ("Jobs", "定时任务"),
    "runs": ("runs", "次数"),
    "left_out": ("left out", "跳过"),
    "trouble": ("trouble", "问题"),
    "strings": ("Strings", "电池簇"),
    "mode": ("mode", "模式"),
    "current": ("current", "电流"),
    "insulation": ("insulation", "绝缘"),
    "waits_for": ("waits for", "等待"),
    # control
    "in_force": ("In force", "当前指令"),
    "own_rule": ("the site's own rule", "本站自身规则"),
    "paused": ("paused: 0 W, contactors open", "已暂停：0 W，接触器断开"),
    "limited_to": ("no more than {kw} kW either way", "充放均不超过 {kw} kW"),
    "set_to": ("set-point {kw} kW", "功率设定 {kw} kW"),
    "expires_in": ("ends by itself in {span}", "{span} 后自动结束"),
    "pause": ("Pause", "暂停"),
    "pause_does": (
        "0 W, then contactors open. This is no lock-out: who works on a cabinet isolates it by its own switches.",
        "先降到 0 W，再断开接触器。这不是检修锁定：在柜内作业须用柜体开关隔离。",
    ),
    "resume": ("Resume", "恢复"),
    "resume_does": ("Back to the site's own rule.", "恢复本站自身规则。"),
    "limit": ("Limit power", "限制功率"),
    "limit_does": (
        "No more than this, charging or discharging, for the whole site.",
        "全站充电或放电功率均不超过此值。",
    ),
    "set_point": ("Manual set-point", "手动设定功率"),
    "set_point_does": (
        "Discharging is positive. Limits, peak guard and guard still apply.",
        "放电为正。各项限制、需量保护和保护模块仍然有效。",
    ),
    "clear": ("Clear latched faults", "清除锁存故障"),
    "clear_does": ("Only after somebody has looked at them on site.", "仅在现场检查之后清除。"),
    "nothing_in_force": ("nothing to resume from: no order is in force", "当前没有指令，无需恢复"),
    "nothing_latched": ("no alarm stands", "当前没有告警"),
    "for_minutes": ("for, min", "持续，分钟"),
    "power_kw": ("power, kW", "功率，kW"),
    "needs_daemon": ("not now: the daemon does not answer", "暂不可用：控制程序无应答"),
    "audit": ("Audit log", "操作记录"),
    "no_audit": ("nothing yet", "尚无记录"),
    "your_name": ("your name", "姓名"),
    "password": ("password", "密码"),
    "log_out": ("Log out", "退出登录"),
    "wrong_password": ("That is not the password.", "密码不正确。"),
    "too_often": ("Too many tries: wait {span}.", "尝试过多，请等待 {span}。"),
    "name_needed": ("Give your name: it stands in the audit log.", "请填写姓名，用于操作记录。"),
    "session_over": ("Your session is over: log in again.", "登录已过期，请重新登录。"),
    "agreed": ("The daemon has taken it.", "控制程序已接受。"),
    "refused": ("Refused: {why}", "被拒绝：{why}"),
    "not_a_number": (
        "{name}: {told}: expected a number from {least} to {most}",
        "{name}：{told}：应为 {least} 到 {most} 的数字",
    ),
    "not_an_act": ("{told}: expected one of {acts}", "{told}：应为 {acts} 之一"),
    "stands_no_more": ("it does not stand any more", "该告警已不存在"),
    "takes_the_place": ("takes the place of what is in force: {order}", "将取代当前指令：{order}"),
    "not_logged": ("Not done: the audit log cannot be written ({why})", "未执行：无法写入操作记录（{why}）"),
    "where_password": (
        "The first password was shown where the page was started; `ess board --reset-password` makes another.",
        "初始密码显示在页面启动的终端；`ess board --reset-password` 可重新生成。",
    ),
}


@dataclass(frozen=True, slots=True)
class Words:
    """One language's."""

    language: str  # of LANGUAGES

    def __call__(self, key: str, **values: object) -> str:
        """A text of WORDS. KeyError where there is none."""
        return WORDS[key][LANGUAGES.index(self.language)].format(**values)

    def of(self, phrase: str) -> str:
        """What the daemon says, which is English, in this language; as it is where nobody has translated it."""
        return phrase if self.language == "en" or not phrase else in_chinese(phrase)


def preferred(accepted: str, chosen: str) -> str:
    """`chosen` if it is one of ours, else by the browser's Accept-Language."""
    if chosen in LANGUAGES:
        return chosen
    first = accepted.strip().lower()
    return "zh" if first.startswith("zh") else "en"
