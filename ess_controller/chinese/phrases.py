"""The daemon's own phrases in Chinese: names of rules, faults and modes, what to do, and sentences with numbers."""

import re

from ess_controller.alarms.diagnosis_words import DIAGNOSES
from ess_controller.chinese.acts import act_in_chinese
from ess_controller.chinese.notes import note_in_chinese

_EXACT = {row.en: row.zh for row in DIAGNOSES} | {
    # rules (core.types.Rule)
    "none": "无",
    "cell voltage": "电芯电压",
    "cell voltage predicted": "电芯电压预测",
    "cell temperature": "电芯温度",
    "cell SOC": "电芯 SOC",
    "module SOH": "模组 SOH",
    "string current": "簇电流",
    "contactors": "接触器",
    "operator": "操作员",
    "PCS": "变流器",
    "grid contract": "合同容量",
    "grid export": "上网限制",
    "communication": "通信",
    "settling": "等待稳定",
    # modes (core.types.Mode), contactors, inverters
    "wake": "唤醒",
    "off": "断开",
    "precharge": "预充",
    "closing": "闭合中",
    "run": "运行",
    "release": "卸载",
    "tripped": "跳闸",
    "fault": "故障",
    "unknown": "未知",
    "standby": "待机",
    "running": "运行",
    "starting": "启动中",
    # who wants it
    "operator: at rest": "操作员：静置",
    "operator set-point": "操作员设定",
    "set-point": "设定功率",
    "meter silent": "电表无数据",
    "self-consumption": "自发自用",
    "cheap hours": "低价时段",
    "value of the plan": "计划价值",
    "peak guard": "需量保护",
    "no plan yet": "尚无计划",
    # periods of tariffs
    "critical": "尖峰",
    "peak": "高峰",
    "flat": "平段",
    "valley": "低谷",
    "deep valley": "深谷",
    # what to do about diagnoses (core.health.DIAGNOSES); their names are those of alarms
    "check module power and the module bus": "检查模组供电和模组总线",
    "check string box power and its bus": "检查簇控制盒供电及其总线",
    "stop charging; inspect the cell named": "停止充电，检查所列电芯",
    "recharge slowly; inspect the cell named": "缓慢充电，检查所列电芯",
    "check cooling; keep away until it is cold": "检查冷却，冷却前请勿靠近",
    "check inverter set-point and current sensor": "检查变流器设定和电流传感器",
    "compare box and cells with a meter": "用万用表比对控制盒与电芯电压",
    "they stay closed: cut the string off by hand": "接触器无法断开：手动切断该簇",
    "its cabinet's bus stays live: see the welded string": "该柜母线仍带电：查看粘连的簇",
    "check string box power, E-stop and interlock": "检查控制盒供电、急停和互锁",
    "read the box's fault bits": "读取控制盒故障位",
    "out of service until it is enabled at its gateway": "在网关处启用之前停运",
    "do not touch; find the earth fault": "请勿触碰，查找接地故障",
    "find out why, pull it out, then clear": "查明原因，复位急停，然后清除",
    "close plugs and covers, then clear": "合上插头和盖板，然后清除",
    "keep away, call the fire brigade": "远离并呼叫消防",
    "keep away and let it air: a cell may have vented": "远离并通风：可能有电芯泄气",
    "look at every module and contact, then clear": "逐一检查模组和触点，然后清除",
    "it gives more than it is told: see its settings": "输出超过指令：检查其设置",
    "turn the current sensor round, then clear": "调转电流传感器方向，然后清除",
    "replace the module; its string is not charged": "更换模组；该簇不再充电",
    "read the module's error bits": "读取模组错误位",
    "check sense wires and board of the cells told": "检查所列电芯的采样线和采集板",
    "its cells are others: fit a cell file to them": "电芯型号不符：为其拟合电芯文件",
    "close the cabinet's door": "关闭柜门",
    "check the remote I/O's power and its bus": "检查远程 I/O 供电及其总线",
    "put the cells told back onto their own wires": "将所列电芯接回各自采样线",
    # companions of the daemon
    "planner": "计划程序",
    "alarm watch": "告警监视程序",
    "uploader": "上报程序",
    "ended unasked": "意外退出",
    # reasons
    "all has not been well for long enough": "正常持续时间不足",
    "all stays well for a while": "保持正常一段时间",
    "was found deeply discharged": "曾发现深度放电",
    "an operator looks and clears it": "操作员检查并清除",
    "is heard again": "恢复通信",
    "nothing: it is what the string is built for": "无：这是该簇的设计值",
    "no string is closed, or one joins": "没有闭合的簇，或有簇正在并入",
    "a string is closed and none joins": "有簇闭合且没有簇正在并入",
    "its inverter obeys, or is a larger one": "变流器服从，或换更大的变流器",
    "its inverter is silent, local, in fault or not armed": "变流器无数据、就地、故障或未使能",
    "the site takes less": "站内用电减少",
    "the site takes more": "站内用电增加",
    "an order to rest": "静置指令",
    "the order expires or is withdrawn": "指令到期或撤回",
    "a younger module takes its place": "换上更新的模组",
    "a younger module takes its place, or deep swings between rests show more capacity": (
        "换上更新的模组，或深循环显示更大容量"
    ),
    "the meter is not heard": "电表无数据",
    "is emptier, or has rested": "电量降低或静置之后",
    "is fuller, or has rested": "电量升高或静置之后",
    "is emptier, or has rested, or is warmer": "电量降低、静置或升温之后",
    "is fuller, or has rested, or is warmer": "电量升高、静置或升温之后",
    "the plan does not cover this hour": "计划不含此时段",
    "its string box": "簇控制盒",
    "its voltage": "电芯电压",
    "its module's temperatures": "模组温度",
    # what a string waits for (picture.waits_for)
    "a fault to be over": "故障消除",
    "the operator: at rest": "操作员恢复运行",
    "its string box to speak": "簇控制盒应答",
    "all cells to speak": "全部电芯有数据",
    "its inverter to speak": "变流器应答",
    "its inverter to leave fault": "变流器退出故障",
    "all to have been well for a while": "全部正常持续一段时间",
    # what the guard cut (firmware_bridge.guard.Trip)
    "guard": "保护闸",
    "unheard": "数据缺失",
    "no fallback": "变流器未确认回零保护",
    "command": "指令越限",
    "bleeding": "均衡",
    # why a report tells no plan
    "no plan is kept of the day's beginning": "没有保存当日零时的计划",
    "tariff, contract, expected load or the meter's clock is no longer that of then": (
        "电价、合同、预期负荷或电表时钟已与当时不同"
    ),
    "made again its numbers differ from those of then": "重新生成的数值与当时不同",
    "they cannot be proven: whether the clear sky was known then was not kept yet": (
        "无法核实：当时未保存是否已知晴空模型"
    ),
    # grids (sites/carbon)
    "all of China": "全国",
    "Beijing": "北京",
    "Tianjin": "天津",
    "Hebei": "河北",
    "Shanxi": "山西",
    "Inner Mongolia": "内蒙古",
    "Liaoning": "辽宁",
    "Jilin": "吉林",
    "Heilongjiang": "黑龙江",
    "Shanghai": "上海",
    "Jiangsu": "江苏",
    "Zhejiang": "浙江",
    "Anhui": "安徽",
    "Fujian": "福建",
    "Jiangxi": "江西",
    "Shandong": "山东",
    "Henan": "河南",
    "Hubei": "湖北",
    "Hunan": "湖南",
    "Guangdong": "广东",
    "Guangxi": "广西",
    "Hainan": "海南",
    "Chongqing": "重庆",
    "Sichuan": "四川",
    "Guizhou": "贵州",
    "Yunnan": "云南",
    "Shaanxi": "陕西",
    "Gansu": "甘肃",
    "Qinghai": "青海",
    "Ningxia": "宁夏",
    "Xinjiang": "新疆",
    # jobs
    "plan": "计划",
    "capacity test": "容量测试",
    "daily report": "日报",
    "report files": "报告文件",
    "this hour is not in it": "此时段不在计划内",
}
_N = r"([+−-]?[\d.,]+)"
_SENTENCES = tuple(
    (re.compile(pattern), chinese)
    for pattern, chinese in (
        (rf"{_N} V, nothing beyond {_N} V", r"\1 V，不得超过 \2 V"),
        (rf"{_N} V, at {_N} s with {_N} A {_N} V, margin included", r"\1 V，以 \3 A 持续 \2 s 将达 \4 V（含裕量）"),
        (rf"falls below {_N} V", r"低于 \1 V"),
        (rf"rises above {_N} V", r"高于 \1 V"),
        (rf"hottest sensor {_N} C", r"最热测点 \1 °C"),
        (rf"coldest sensor {_N} C", r"最冷测点 \1 °C"),
        (rf"cools below {_N} C", r"降温至 \1 °C 以下"),
        (rf"warms above {_N} C", r"升温至 \1 °C 以上"),
        (rf"{_N} % SOC, give or take {_N} %", r"SOC \1 %，误差 ±\2 %"),
        (rf"discharges below {_N} % SOC", r"放电至 SOC \1 % 以下"),
        (rf"charges above {_N} % SOC", r"充电至 SOC \1 % 以上"),
        (rf"SOH {_N} at intake", r"入库 SOH \1"),
        (
            rf"SOH {_N} learnt, give or take {_N}; its module {_N}, at intake {_N}",
            r"学习所得 SOH \1（±\2），所在模组 \3，入库 \4",
        ),
        (rf"rated {_N} A", r"额定 \1 A"),
        (rf"rated {_N} kW in, {_N} kW out", r"额定充电 \1 kW，放电 \2 kW"),
        (
            rf"site without battery {_N} kW, import up to {_N} kW, export up to {_N} kW",
            r"不计电池全站 \1 kW，取电上限 \2 kW，送电上限 \3 kW",
        ),
        (rf"an order: no more than {_N} kW for the whole site", r"指令：全站不超过 \1 kW"),
        (rf"the plan has seen {_N} days of the site", r"计划仅依据 \1 天数据"),
        (rf"the plan is {_N} h old", r"计划已 \1 小时"),
        (
            rf"the plan is of billing blocks of {_N} min, the site of {_N} min",
            r"计划按 \1 分钟计费时段，本站为 \2 分钟",
        ),
        (
            rf"the plan takes the meter's clock to be {_N} s ahead of ours",
            r"计划按电表时钟比本机快 \1 秒制定，现已不同",
        ),
        (
            rf"the roof gives less than it did, and the forecast goes by that: {_N}% since {_N} days ago",
            r"屋顶发电自 \2 天前起比以前少 \1%，预测已按此调整",
        ),
        (
            rf"the roof gives more than it did, and the forecast goes by that: {_N}% since {_N} days ago",
            r"屋顶发电自 \2 天前起比以前多 \1%，预测已按此调整",
        ),
        (r"the plan cannot be believed: (.*)", r"计划文件不可信：\1"),
        (rf"no sign of life for {_N} min: replaced", r"\1 分钟无响应：已更换"),
        (r"ended \((.*)\): not started again", r"已退出（\1）：不再重启"),
        (r"ends again and again \((.*)\)", r"反复退出（\1）"),
        (r"the kept plan cannot be reopened: (.*)", r"已保存的计划无法重新打开：\1"),
        (r"it was made by another program \((.*)\)", r"由另一版本程序生成（\1）"),
        (r"warmth: (.*)", r"升温：\1"),
        (
            rf"the bus to come near: {_N} V at rest, {_N} A would flow between the strings",
            r"母线电压接近：静置时相差 \1 V，簇间将流过 \2 A",
        ),
        (rf"{_N} closes within an hour: {_N} min to go", r"一小时内已闭合 \1 次：还需 \2 分钟"),
        (r"MEE and NBS, notice (\d+)-(\d+)", r"生态环境部、国家统计局公告\1年第\2号"),
        (rf"{_N} in {_N} s", r"\2 s 内 \1 次"),
        (rf"not before {_N} days with a rest", r"需 \1 天含静置的数据"),
    )
)
_UNHEARD = " not heard"
_BEGINS = {"energy, ": "电量，", "refused: ": "被拒绝："}
_WITH_WHY = re.compile(r"(.+?) \((.+)\)")


def in_chinese(phrase: str) -> str:
    """As it is where it is not known."""
    if (
        known := _EXACT.get(phrase)
        or _EXACT.get(phrase.replace("_", " "))
        or note_in_chinese(phrase)
        or act_in_chinese(phrase)
    ):
        return known
    if phrase.endswith(_UNHEARD):
        return "、".join(map(in_chinese, phrase.removesuffix(_UNHEARD).split(" and "))) + "无数据"
    for pattern, chinese in _SENTENCES:
        if found := pattern.fullmatch(phrase):
            return found.expand(chinese)
    if found := _WITH_WHY.fullmatch(phrase):
        return f"{in_chinese(found[1])}（{in_chinese(found[2])}）"
    for begin, chinese in _BEGINS.items():
        if phrase.startswith(begin):
            return chinese + in_chinese(phrase.removeprefix(begin))
    parts = phrase.split(", ")  # what the guard cut
    return "，".join(map(_EXACT.__getitem__, parts)) if _EXACT.keys() >= set(parts) else phrase
