"""The words of a report in English and Chinese; those of the daemon itself are in `chinese.phrases`."""

from collections.abc import Callable
from typing import Literal

from ess_controller.chinese.phrases import in_chinese

Lang = Literal["en", "zh"]
LANGS: tuple[Lang, ...] = ("zh", "en")

ZH = {
    "Report of the day": "日报",
    "Report of the month": "月报",
    "saved against no battery": "较无储能节省",
    "saved against the rule of the hour": "较分时规则节省",
    "highest import": "最高需量",
    "cycles (EFC)": "等效循环（EFC）",
    "lost of what was taken": "损耗占充电量",
    "lost of what was taken: not known, too little flowed": "损耗占充电量：充放电量过少，未知",
    "lost of what was taken: not known, nobody noted how sure is what was stored": (
        "损耗占充电量：未知，当时未记录储存电量的误差"
    ),
    "nobody noted how sure is what was stored: what the cells lose cannot be told from it": (
        "当时未记录储存电量的误差，无法据此得出电芯损耗"
    ),
    "too little flowed to tell what the cells lose from what is stored by the estimate": (
        "充放电量过少，无法从估计的储存电量中得出电芯损耗"
    ),
    "CO2 of what was bought": "购电碳排放",
    "without the battery": "无储能时",
    "energy and feed-in": "电量与上网",
    "Power": "功率",
    "State of charge": "荷电状态",
    "load": "负荷",
    "sun": "光伏",
    "grid": "电网",
    "battery": "储能",
    "done": "实际",
    "by the rule": "分时规则",
    "planned": "计划",
    "without": "无储能",
    "item": "项目",
    "price": "单价",
    "together": "合计",
    "Money": "电费",
    "Bill by item": "账单分项",
    "month so far": "本月至今",
    "what saved it": "节省来源",
    "own sun stored": "自有光伏储存",
    "price shifts": "峰谷转移",
    "demand": "需量",
    "other": "其他",
    "counted from": "计入起点",
    "Before it the daemon did not run here: that time is billed the same on all sides, and nothing is saved in it": (
        "此前控制器未在本站运行：该时间各方案电费相同，不计节省"
    ),
    "The rule is reckoned as if cells bounded nothing between empty and full.": "分时规则按电芯在满空之间不受限计算。",
    "What is stored is estimated: over a day the cells' losses are no surer than that.": (
        "储存电量为估计值：单日电芯损耗的准确度不超过该估计。"
    ),
    "all": "合计",
    "more stored at the end than at the start, at what refilling costs": "期末较期初多储存的电量，按补充电价计",
    "on no bill": "不在账单上",
    "As planned at the day's beginning": "日初计划",
    "made": "制定于",
    "saved by the plan": "计划节省",
    "on the load and sun expected then": "按当时预测的负荷与光伏",
    "Saved day by day": "每日节省",
    "Energy of the battery": "储能电量",
    "Highest import of each day": "每日最高需量",
    "taken": "充入",
    "given": "放出",
    "Peaks": "需量峰值",
    "window": "时段",
    "as metered": "计量",
    "agreed": "合同",
    "Battery": "储能",
    "cabinet": "柜",
    "SOC from": "SOC 最低",
    "to": "最高",
    "lost in inverters": "变流器损耗",
    "lost in cells": "电芯损耗",
    "stored more": "多储存",
    "Cells": "电芯",
    "lowest voltage": "最低电压",
    "highest voltage": "最高电压",
    "lowest temperature": "最低温度",
    "highest temperature": "最高温度",
    "value": "数值",
    "place": "位置",
    "module": "模组",
    "when": "时间",
    "What limited power": "功率受限原因",
    "way": "方向",
    "rule": "规则",
    "cabinet-hours": "柜·小时",
    "longest": "最长",
    "taken of the nameplate": "占用额定电量",
    "wanted and missed": "所需而未得",
    "Data": "数据",
    "counted": "计入",
    "heard in part": "部分收到",
    "gaps": "缺口",
    "none": "无",
    "Events": "事件",
    "Forecast": "预测",
    "mean error": "平均误差",
    "mean absolute error": "平均绝对误差",
    "if today were as yesterday": "按昨日推测",
    "bought": "购入",
    "sun used or sold": "光伏利用或上网",
    "of it used here": "其中自用",
    "losses of storing": "储能损耗",
    "Notes": "说明",
    "charge": "充电",
    "discharge": "放电",
    "come": "出现",
    "over": "恢复",
    "began": "启动",
    "daemon": "控制器",
    "energy, critical": "尖峰电量",
    "energy, peak": "高峰电量",
    "energy, flat": "平段电量",
    "energy, valley": "低谷电量",
    "energy, deep valley": "深谷电量",
    "feed-in": "上网电量",
    "demand, agreed": "合同需量",
    "demand, excess": "超需量",
    "demand, actual": "实际需量",
    "demand, capacity": "容量电费",
    "monthly step": "月度阶梯",
    "the daemon began": "控制器启动",
    "All ways are compared alike: from blocks that were heard, by their mean powers; demand by the highest block. What "
    "was bought and sold within one block is the same on all sides.": (
        "各方案按同一方法比较：仅计已收到数据的时段，按平均功率；需量取最高时段。同一时段内的购售各方案相同。"
    ),
    "What was done is billed by windows that slide. Without the battery and by the rule only blocks are known: what "
    "was saved of the demand is reckoned by blocks on all sides.": (
        "实际需量按滑动窗口计费。无储能和分时规则两种情形仅知各时段平均值，因此需量节省均按时段计算。"
    ),
    "by blocks": "按时段",
    "By a mean factor of all hours, energy moved to another hour spares no CO2; what is lost is bought.": (
        "按全年平均因子，跨时段转移电量不减少碳排放；损耗须另行购电。"
    ),
    "The figure was not read in the notice itself": "该数值未经公告原文核对",
    "No kept plan": "无保存的计划",
    "so far the month's demand is lower by": "本月至今需量电费减少",
    "No tariff: no money is told.": "无电价文件：不计电费。",
    "Nothing is known of cells and limits: the ledger does not cover this time.": "无电芯与限制记录：台账不含此时段。",
    "copy": "转载件",
    "memory": "凭记忆",
    "not known": "未知",
    "times": "次",
    "the ledger does not cover this time": "台账不含此时段",
    "no rollups are kept of this time": "没有保存此时段的汇总数据",
    "the site file has no table carbon": "站点文件没有 carbon 表",
    "without a tariff there is no plan": "没有电价文件则没有计划",
    "it is told in the reports of single days": "见各日的日报",
    "starts of the daemon": "控制器启动次数",
    "factor": "因子",
    "sliding": "滑动窗口",
    "block of": "时段",
    "stored beside that": "另有储存",
    "estimated": "估计",
    "event": "事件",
    "state": "状态",
    "what follows": "处理",
    "untold": "未列出",
}


def words(lang: Lang) -> Callable[[str], str]:
    """What a phrase is in a language."""
    return (lambda phrase: ZH.get(phrase) or in_chinese(phrase)) if lang == "zh" else (lambda phrase: phrase)
