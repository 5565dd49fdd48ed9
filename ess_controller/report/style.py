"""How a report looks: calm, on A4 and on a screen, without anything from elsewhere."""

CSS = """
@page { size: A4; margin: 14mm 13mm }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 820px; padding: 26px 20px; background: #fff; color: #1f2937;
  font: 13px/1.45 "Inter", "Segoe UI", "Noto Sans", "PingFang SC", "Noto Sans CJK SC", "Microsoft YaHei", sans-serif }
header { display: flex; justify-content: space-between; align-items: flex-end; border-bottom: 2px solid #178a68;
  padding-bottom: 10px }
h1 { font-size: 22px; margin: 0; font-weight: 650; letter-spacing: -.2px }
header p { margin: 0; color: #6b7280 }
h2 { font-size: 14.5px; margin: 24px 0 6px; font-weight: 650; color: #0f3d31; break-after: avoid }
h3 { font-size: 12.5px; margin: 12px 0 2px; font-weight: 600; color: #374151; break-after: avoid }
p { margin: 4px 0 }
.quiet { color: #6b7280; font-size: 12px }
.cards { display: grid; grid-template-columns: repeat(6, 1fr); gap: 8px; margin: 14px 0 4px }
.card { background: #f5f8f7; border-radius: 8px; padding: 9px 10px; break-inside: avoid }
.card b { display: block; font-size: 17px; font-weight: 650; color: #0f3d31; white-space: nowrap }
.card span { color: #6b7280; font-size: 11px; line-height: 1.25; display: block }
table { border-collapse: collapse; width: 100%; font-size: 12px; font-variant-numeric: tabular-nums }
th { text-align: left; color: #6b7280; font-weight: 500; border-bottom: 1px solid #d1d5db; padding: 3px 8px 3px 0 }
td { padding: 3px 8px 3px 0; border-bottom: 1px solid #eef0f2; vertical-align: top }
tr { break-inside: avoid }
.n { text-align: right; white-space: nowrap } .n + td:not(.n), .n + th:not(.n) { padding-left: 14px }
th.n { text-align: right }
tr.sum td { font-weight: 650; border-top: 1px solid #9ca3af; border-bottom: none }
.shares td { border: none; padding: 2px 8px 2px 0 }
.shares .bar { width: 55% }
.shares i { display: block; height: 11px; border-radius: 2px; margin-top: 3px }
figure { margin: 4px 0 0; break-inside: avoid }
svg { width: 100%; height: auto; display: block }
svg .grid { stroke: #e5e7eb; stroke-width: 1 } svg .zero { stroke: #9ca3af; stroke-width: 1 }
svg text { font-size: 10.5px; fill: #6b7280 } svg .unit { fill: #374151 }
.legend { font-size: 11px; color: #4b5563; padding-left: 46px }
.legend span { margin-right: 16px; white-space: nowrap } .legend i { display: inline-block; width: 11px; height: 11px;
  border-radius: 2px; margin-right: 5px; vertical-align: -1px }
.level { display: inline-block; padding: 0 6px; border-radius: 8px; font-size: 11px; background: #e5e7eb }
.level.stop { background: #fde2dc; color: #9a3412 } .level.derate, .level.notice { background: #fdf0cf; color: #92600a }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 22px } .two > div { min-width: 0; break-inside: avoid }
.scroll { overflow-x: auto }
@media screen and (max-width: 620px) {
  .cards { grid-template-columns: repeat(2, 1fr) } .two { grid-template-columns: 1fr } body { padding: 18px 14px }
  header { flex-wrap: wrap } figure { overflow-x: auto } figure svg { width: 640px }
  .legend { padding-left: 0 } .shares .bar { width: 40% } }
@media screen and (prefers-color-scheme: dark) { html { background: #171717; color-scheme: dark }
  body { filter: invert(.91) hue-rotate(180deg) } }
@media print { body { padding: 0; max-width: none; -webkit-print-color-adjust: exact; print-color-adjust: exact } }
"""
