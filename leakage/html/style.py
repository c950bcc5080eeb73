"""How the page looks: on a screen, narrow or wide, and on paper. Knows no content."""

STYLE = """
:root{color-scheme:light;--ink:#1a1a1a;--soft:#555;--line:#d0d0d0}
*{box-sizing:border-box}
body{margin:0 auto;max-width:80rem;padding:0 1rem 4rem;color:var(--ink);background:#fff;
font:16px/1.5 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{font-size:1.6rem;line-height:1.25;margin:2rem 0 .5rem;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.5rem 0 .75rem;padding-top:.75rem;border-top:1px solid var(--line)}
a{color:#0b4f8a}
:focus-visible{outline:3px solid #d55e00;outline-offset:2px}
.skip{position:absolute;left:-999rem}
.skip:focus{left:1rem;top:1rem;background:#fff;padding:.5rem 1rem}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1rem;list-style:none;padding:0;margin:1rem 0}
.note{color:var(--soft);max-width:46rem}
.wide{overflow-x:auto;margin:1rem 0}
table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--soft);padding-bottom:.4rem}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th[scope=row],thead th:first-child{text-align:left}
thead th{border-bottom:2px solid var(--ink)}
.heat td{border:1px solid #fff;min-width:5.5rem}
.heat td.dark{color:#fff}
.heat td.none{color:var(--soft);background:#f4f4f4;font-style:italic;white-space:normal}
.heat small{opacity:.85}
figure{margin:1rem 0;break-inside:avoid}
figcaption{color:var(--soft);font-size:.875rem}
figure svg{width:100%;max-width:60rem;height:auto;display:block}
svg text{font:13px system-ui,"Segoe UI",Roboto,Arial,sans-serif;fill:var(--ink)}
svg text.small{font-size:12px}
svg text.ondark{fill:#fff}
.grid{stroke:#e4e4e4;fill:none}
.axis{stroke:#333;fill:none}
.limit{stroke:#333;stroke-dasharray:6 4;fill:none}
.whisker{stroke-width:2;fill:none}
.curve{stroke-width:2;fill:none}
.thin{stroke-width:1;opacity:.6}
.band{opacity:.12}
.mark{stroke:#fff;stroke-width:1}
.key,.meanings{list-style:none;padding:0;font-size:.875rem}
.key{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem}
.key svg{vertical-align:middle}
.swatch{display:inline-block;width:1rem;height:1rem;vertical-align:-.15rem;border:1px solid #777}
blockquote{margin:.5rem 0;padding:.5rem 1rem;border-left:4px solid var(--line);
white-space:pre-wrap;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;font-size:.875rem}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
details summary{cursor:pointer}
@media (max-width:36rem){dl{grid-template-columns:1fr}dd{margin-bottom:.5rem}
body{padding:0 .75rem 3rem}figure{overflow-x:auto}figure svg{min-width:34rem}.key svg{min-width:0}}
@page{size:A4 landscape;margin:12mm}
@media print{body{max-width:none;padding:0;font-size:11pt}nav,.skip{display:none}
h2{break-after:avoid}.wide{overflow:visible}table{font-size:7pt}
th,td{padding:.15rem .3rem;white-space:normal}.heat td{min-width:0}
td,.swatch,svg{print-color-adjust:exact;-webkit-print-color-adjust:exact}
details::details-content{content-visibility:visible;height:auto}
details summary{display:none}a{color:inherit;text-decoration:none}tr{break-inside:avoid}}
"""
