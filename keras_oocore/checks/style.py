"""The style of the page of a report: light and dark, wide and narrow."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #ffffff; --text: #212529; --faint: #6b7280; --line: #e5e7eb; --card: #ffffff; --code: #f6f7f8;
  --picture: #f1f3f4; --red: #d00000; --red-wash: #fdf2f2; --bar: #c9ced6; --good: #1a7f37;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #16181b; --text: #e4e6e9; --faint: #9aa1ab; --line: #2d3136; --card: #1b1e22; --code: #1f2327;
    --picture: #25292e; --red: #ff7b72; --red-wash: #2a1d1e; --bar: #4a515b; --good: #56d364;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text); overflow-wrap: anywhere; -webkit-text-size-adjust: 100%;
  font: 16px/1.55 "Open Sans", system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 1120px; margin: 0 auto; padding: 48px 32px 64px; }
h1 { font-size: 2rem; line-height: 1.25; font-weight: 600; margin: 0; }
h1 .against { font-weight: 400; color: var(--faint); }
h2 { font-size: 1.3rem; line-height: 1.35; font-weight: 600; margin: 0 0 6px; }
h2 small { font-size: 0.95rem; font-weight: 400; color: var(--faint); margin-left: 6px; white-space: nowrap; }
h3 { font-size: 0.8rem; line-height: 1.4; font-weight: 400; color: var(--faint); margin: 0 0 10px; }
p { margin: 0 0 12px; max-width: 46rem; }
.size { color: var(--faint); margin: 4px 0 24px; }
nav { display: flex; flex-wrap: wrap; gap: 10px; }
nav a {
  text-decoration: none; color: var(--text); border: 1px solid var(--line); border-radius: 8px; padding: 7px 14px;
  background: var(--card); font-size: 0.95rem;
}
nav a:hover, nav a:focus-visible { border-color: var(--faint); }
nav .problem b { color: var(--red); }
.good { color: var(--good); font-weight: 600; }
section { margin-top: 52px; scroll-margin-top: 16px; }
pre {
  margin: 0 0 18px; padding: 10px 14px; background: var(--code); border-radius: 6px; overflow-x: auto;
  max-width: 46rem; overflow-wrap: normal;
}
code { font: 0.875rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.groups { display: flex; flex-wrap: wrap; gap: 16px; align-items: stretch; }
.group { border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px 14px; background: var(--card); }
.files { display: flex; flex-wrap: wrap; gap: 14px; }
figure { width: 148px; margin: 0; }
.picture {
  width: 148px; height: 148px; border-radius: 6px; background: var(--picture); overflow: hidden; display: flex;
  align-items: center; justify-content: center; outline: 1px solid rgba(128, 128, 128, 0.2); outline-offset: -1px;
}
.picture img { width: 100%; height: 100%; object-fit: contain; display: block; }
.picture.none { color: var(--faint); font-size: 0.8rem; }
figcaption { margin-top: 8px; font-size: 0.8rem; line-height: 1.4; }
figcaption > * { display: block; }
figcaption b { font-weight: 600; }
figcaption span { color: var(--text); }
small { color: var(--faint); }
figcaption small { font-size: 0.75rem; margin-top: 2px; }
#conflicts figcaption b { color: var(--red); }
.more { color: var(--faint); font-size: 0.875rem; margin: 14px 0 0; }
.list { width: 100%; max-width: 46rem; }
.list ul { list-style: none; margin: 0; padding: 0; border-top: 1px solid var(--line); }
.list li { display: flex; gap: 14px; align-items: center; padding: 8px 0; border-bottom: 1px solid var(--line); }
.list .picture { width: 44px; height: 44px; flex: none; border-radius: 4px; }
.list .picture.none { font-size: 0; }
.list .picture.none::after { content: "\\2013"; font-size: 1rem; }
.list li > div:last-child { font-size: 0.9rem; line-height: 1.4; min-width: 0; }
.list small { display: block; font-size: 0.825rem; }
.data { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); gap: 32px 48px; margin-top: 14px; }
table { border-collapse: collapse; width: 100%; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 400; padding: 3px 12px 3px 0; vertical-align: top; }
td { text-align: right; padding: 3px 12px 3px 0; vertical-align: top; white-space: nowrap; color: var(--faint); }
td.bar { width: 40%; padding-right: 0; vertical-align: middle; }
.bar div { height: 8px; min-width: 2px; border-radius: 2px; background: var(--bar); }
.grid { overflow-x: auto; margin-top: 14px; }
.grid table { overflow-wrap: normal; }
.grid tr:first-child th { color: var(--faint); text-align: right; vertical-align: bottom; font-size: 0.8rem; }
.grid tr:first-child th:nth-child(-n+2) { text-align: left; }
.grid tr { border-bottom: 1px solid var(--line); }
.grid th:first-child { position: sticky; left: 0; background: var(--page); overflow-wrap: anywhere; }
.grid th div { width: max-content; min-width: 6rem; max-width: 18rem; }
.grid td:nth-child(2) { text-align: left; }
.list + .list { margin-top: 8px; }
.notes ul { margin: 0; padding-left: 20px; }
footer {
  margin-top: 56px; padding-top: 16px; border-top: 1px solid var(--line); color: var(--faint); font-size: 0.85rem;
}
@media (max-width: 640px) {
  main { padding: 28px 16px 40px; }
  h1 { font-size: 1.5rem; }
  h1 .against { display: block; font-size: 1.1rem; }
  h2 small { display: block; margin-left: 0; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  code { font-size: 0.75rem; }
  section { margin-top: 40px; }
  nav a { padding: 5px 11px; font-size: 0.875rem; }
  .groups { gap: 12px; }
  .group { width: 100%; }
  .files { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 12px; }
  figure, figure .picture { width: 100%; }
  .grid th div { max-width: 9rem; }
  figure .picture { height: auto; aspect-ratio: 1; }
}
"""
