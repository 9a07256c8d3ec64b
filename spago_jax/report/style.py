# SPDX-License-Identifier: BSD-2-Clause
"""The style sheet of the page, light and dark.

The hues are told apart with the common kinds of colour blindness (after Okabe and Ito, "Color Universal Design",
2008), darkened or lightened until they are legible as text; nothing is said by colour alone.
"""

_LIGHT = """
--page:#f6f6f3;--surface:#fff;--ink:#1c1c1a;--muted:#62615b;--line:#e2e1db;--soft:#f0efea;
--bad:#b3261e;--heat:#0072b2;--miss:#d55e00;--deep:#fff;
--k0:#0072b2;--k1:#c94f00;--k2:#00805d;--k3:#a94385;--k4:#7d6500;--k5:#5350b8;
--e0:#0067a3;--e1:#b04600;--e2:#007355;--e3:#a03d7d;--e4:#756000;--e5:#5350b8;
--e6:#8c2f2f;--e7:#006c7a;--e8:#4a6e00;--e9:#8347b8;--e10:#82541f;--e11:#a8244a;
"""

_DARK = """
--page:#151514;--surface:#1e1e1d;--ink:#ecebe6;--muted:#a5a39b;--line:#383733;--soft:#282826;
--bad:#ff8f85;--heat:#3f9fdd;--miss:#e8772e;--deep:#10100f;
--k0:#62b5ee;--k1:#ff9553;--k2:#3ecb9e;--k3:#ea9ccb;--k4:#dfc13f;--k5:#abaaf8;
--e0:#6cbcf0;--e1:#ff9a5c;--e2:#45cfa2;--e3:#ec9fcd;--e4:#e0c341;--e5:#abaaf8;
--e6:#f08a80;--e7:#4fcbd8;--e8:#a6cf52;--e9:#c9a0f2;--e10:#d4a373;--e11:#ff86a6;
"""

_HUES = "".join(f".k{i}{{--k:var(--k{i})}}" for i in range(6)) + "".join(f".e{i}{{--k:var(--e{i})}}" for i in range(12))

STYLE = (
    f":root{{color-scheme:light dark;{_LIGHT}}}\n"
    f"@media (prefers-color-scheme:dark){{:root{{{_DARK}}}}}\n"
    f"{_HUES}\n"
    """
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);
 font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","Liberation Sans",Arial,sans-serif}
main{max-width:1160px;margin:0 auto;padding:40px 24px 64px}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.82rem}
h1{font-size:2.1rem;line-height:1.15;margin:0 0 8px;letter-spacing:-.015em;overflow-wrap:anywhere}
h2{font-size:1.35rem;margin:0 0 14px;letter-spacing:-.01em}
h3{font-size:1rem;margin:22px 0 8px}
h3 .note{font-weight:400}
h4{font-size:.9rem;margin:20px 0 8px}
p{margin:0 0 12px}
.kicker{margin:0 0 6px;color:var(--muted);font-size:.85rem}
.lead{font-size:1.08rem;color:var(--muted);max-width:72ch}
.note{color:var(--muted);font-size:.85rem;max-width:90ch}
.banner{border-left:4px solid var(--k4);background:var(--surface);padding:10px 14px;border-radius:0 6px 6px 0}
section{margin-top:48px;scroll-margin-top:56px}
nav{position:sticky;top:0;z-index:3;display:flex;flex-wrap:wrap;gap:4px 20px;margin-top:28px;padding:10px 0;
 background:var(--page);border-bottom:1px solid var(--line);font-size:.9rem}
a{color:var(--k0);text-decoration:none}
a:hover{text-decoration:underline}
footer{margin-top:48px;color:var(--muted);font-size:.85rem}
.facts{display:flex;flex-wrap:wrap;gap:10px 36px;margin:22px 0 26px}
.facts dt{color:var(--muted);font-size:.8rem}
.facts dd{margin:0;font-variant-numeric:tabular-nums}
.cards,.charts,.two{display:grid;gap:18px;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr))}
.cards{grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr))}
.card,.panel{background:var(--surface);border:1px solid var(--line);border-radius:10px;padding:18px 20px;margin:0;
 min-width:0}
.card{max-width:720px}
.card h2{font-size:.95rem;margin:0;color:var(--muted);font-weight:600}
.figure{margin:2px 0 10px}
.big{font-size:2.5rem;font-weight:650;letter-spacing:-.02em;line-height:1.15;font-variant-numeric:tabular-nums}
.of{margin-left:10px}
.figure .base{display:block;font-size:.9rem}
.base{color:var(--muted)}
.panel{position:relative}
.panel h3{margin:0}
figcaption .note{display:block}
table{border-collapse:collapse;font-size:.88rem;width:100%}
th,td{text-align:left;padding:5px 10px;border-bottom:1px solid var(--line);vertical-align:top}
thead th{color:var(--muted);font-weight:600;font-size:.82rem;vertical-align:bottom;white-space:nowrap}
tbody tr:last-child>*{border-bottom:0}
td,.number{font-variant-numeric:tabular-nums}
.number{text-align:right;white-space:nowrap}
.card table th:first-child,.plain th{padding-left:0;font-weight:400;color:var(--muted)}
.card td,.card thead th+th{text-align:right}
.plain td{overflow-wrap:anywhere}
.wide{overflow-x:auto;max-width:100%}
.tall .wide{max-height:620px;overflow:auto;border-bottom:1px solid var(--line)}
.tall thead th{position:sticky;top:0;background:var(--page);z-index:1}
.sortable th button{all:unset;cursor:pointer;font:inherit}
.sortable th button:focus-visible{outline:2px solid var(--k0);outline-offset:2px}
th[aria-sort=ascending] button::after{content:" \\2191"}
th[aria-sort=descending] button::after{content:" \\2193"}
.barred{display:inline-flex;align-items:center;gap:9px;white-space:nowrap}
.track{display:inline-block;width:110px;height:9px;border-radius:3px;background:var(--soft);overflow:hidden}
.bar{display:block;height:100%;background:var(--k);border-radius:3px}
.confusions{display:flex;flex-wrap:wrap;gap:0 48px;align-items:flex-start}
.confusions h4{margin-top:0}
.pairs{width:auto}
.heat{width:auto;font-size:.75rem;border-spacing:2px;border-collapse:separate}
.heat th{border:0;font-weight:400;padding:0 8px 0 0;white-space:nowrap;text-align:right;vertical-align:middle;
 color:var(--ink);max-width:260px;overflow:hidden;text-overflow:ellipsis}
.heat thead th{padding:0 0 6px;text-align:center;max-width:none}
.tilted thead span{display:block;writing-mode:vertical-rl;transform:rotate(180deg);max-height:200px;margin:0 auto;
 overflow:hidden;text-overflow:ellipsis}
.heat td{border:0;padding:0;width:32px;min-width:32px;height:28px;text-align:center;vertical-align:middle;
 border-radius:3px;background:color-mix(in srgb,var(--h,var(--heat)) var(--p,0%),var(--soft))}
.heat .miss{--h:var(--miss)}
.heat .deep{color:var(--deep)}
.heat .total{background:none;color:var(--muted);text-align:right;padding-left:8px;min-width:48px}
.chart{display:block;width:100%;height:auto;margin-top:8px;overflow:visible;font-size:12px}
.chart text{fill:var(--muted);font-variant-numeric:tabular-nums}
.chart .label{fill:var(--ink)}
.chart .name{fill:var(--k);font-weight:600}
.grid{stroke:var(--line)}
.axis{stroke:var(--muted)}
.mark{stroke:var(--ink);stroke-dasharray:3 4}
.line{fill:none;stroke:var(--k);stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.dot{fill:var(--k);stroke:var(--surface)}
.cross{stroke:var(--muted)}
.tip{position:absolute;pointer-events:none;z-index:4;background:var(--ink);color:var(--page);border-radius:6px;
 padding:5px 9px;font-size:.78rem;line-height:1.4;white-space:pre;font-variant-numeric:tabular-nums}
.switch{display:inline-flex;align-items:center;gap:6px;margin:0 18px 8px 0;font-size:.85rem;cursor:pointer}
.panel .switch{margin:6px 0 0}
.logarithmic,.panel:has(.log:checked) .linear{display:none}
.panel:has(.log:checked) .logarithmic{display:block}
.legend{display:flex;flex-wrap:wrap;gap:5px 8px;font-size:.82rem}
.key{display:inline-block;width:14px;height:3px;margin-right:6px;vertical-align:middle;background:var(--k)}
.chip{padding:0 8px;border-radius:4px;color:var(--k);background:color-mix(in srgb,var(--k) 14%,var(--surface))}
details.split,details.group{border-top:1px solid var(--line)}
summary{cursor:pointer;padding:9px 0}
.split>summary{font-weight:600}
.group>summary code{display:inline-block;min-width:12rem;max-width:24rem;overflow-wrap:anywhere;vertical-align:top}
.group>summary .note{display:inline-block;min-width:6rem;margin:0 18px}
.group .wide{margin:0 0 16px 18px}
.sentences{background:var(--surface);border:1px solid var(--line);border-radius:10px;padding:4px 20px;
 max-height:900px;overflow:auto}
.sentences p{margin:0;padding:9px 0;border-bottom:1px solid var(--line);line-height:2;overflow-wrap:anywhere}
.sentences p:last-child{border:0}
.samples:has(.only:checked) .fine{display:none}
.entity{padding:2px 6px 3px;border-radius:5px;border:1.5px solid transparent;-webkit-box-decoration-break:clone;
 box-decoration-break:clone;background:color-mix(in srgb,var(--k) 16%,var(--surface))}
.entity small{margin-left:6px;color:var(--k);font-size:.74rem}
.entity.type,.entity.boundary,.entity.spurious{border:1.5px solid var(--bad)}
.entity.boundary{border-style:double;border-width:3px;padding:1px 5px 2px}
.entity.type small,.entity.boundary small,.entity.spurious small,.entity.missed small{color:var(--bad)}
.entity.missed{background:none;border:1.5px dashed var(--bad)}
.gold{text-decoration:underline dotted 2px;text-underline-offset:3px}
.t{display:inline-block;vertical-align:top;color:var(--k);line-height:1.5;white-space:pre-wrap}
.t.out{color:var(--ink)}
.t.again,.chip.again{font-style:italic}
.t small{display:none;font-size:.7rem;line-height:1.25;color:var(--muted)}
.t.bad u{text-decoration:underline wavy var(--bad) 1.5px;text-underline-offset:3px}
.t.bad small,.samples:has(.every:checked) .t small{display:block}
.t.bad small b{color:var(--bad)}
.t small s{text-decoration-thickness:1px}
.bad{color:var(--bad)}
.t.bad{color:var(--k,var(--ink))}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(84px,1fr));gap:12px}
.gallery figure{margin:0;padding:9px;text-align:center;background:var(--surface);border:1px solid var(--line);
 border-radius:8px;color:var(--ink)}
.gallery img{image-rendering:pixelated;display:block;margin:0 auto;border-radius:3px}
.gallery figcaption{font-size:.85rem;margin-top:5px}
.gallery .bad b{color:var(--bad)}
.wide+.charts{margin-top:18px}
.strips{display:grid;grid-template-columns:repeat(auto-fill,minmax(190px,1fr));gap:14px;margin-bottom:14px}
.strips figure{margin:0;min-width:0}
.strips img{display:block;width:100%;height:96px;image-rendering:pixelated;border:1px solid var(--line);
 border-radius:4px}
.strips code{overflow-wrap:anywhere}
@media (prefers-color-scheme:dark){.strips img{filter:invert(1)}}
.classified td:first-child{width:60%}
.sample{white-space:pre-wrap;overflow-wrap:anywhere}
pre{background:var(--surface);border:1px solid var(--line);border-radius:10px;padding:14px 18px;margin:0 0 16px;
 line-height:1.55;overflow-x:auto}
.generated{white-space:pre-wrap;overflow-wrap:anywhere}
.inputs{display:block;min-width:260px;white-space:normal;overflow-wrap:anywhere}
@media print{nav{position:static}.sentences,.tall .wide{max-height:none}section{break-inside:auto}}
"""
)
