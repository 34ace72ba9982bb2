import { BAR_STEPS } from "./overview_table.ts";

/** The labels of cells where there is no room for a heading, by the class of the column. */
const LABELS: Readonly<Record<string, string>> = {
  p: "Project",
  s: "State",
  v: "vCPUs",
  c: "CPU",
  m: "Memory",
  r: "Read/s",
  w: "Written/s",
  x: "Received/s",
  t: "Sent/s",
  a: "Age",
};

const LABEL_RULES = Object.entries(LABELS)
  .map(([name, label]) => `  tbody .${name}::before { content: "${label}"; }`).join("\n");

const BAR_RULES = Array.from(
  { length: BAR_STEPS + 1 },
  (_, step) => `.b${step}{--w:${step * 100 / BAR_STEPS}%}`,
).join("\n");

/** The style of the overview: a table where there is room for one, else a card for each instance. */
export const OVERVIEW_STYLE = `
:root { color-scheme: light dark; --text: #1b2430; --soft: #586474; --line: #e1e6ec; --back: #f4f6f9; --card: #fff;
  --link: #0b57c2; --good: #1a7f43; --bad: #b3261e; --idle: #8a5a00; --bar: #3d7fc4; --track: #e6ebf1; --badback: #fdecea;
  --idleback: #fff5e0; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e8ee; --soft: #9ba7b5; --line: #2b333e; --back: #12161b; --card: #1a2027;
    --link: #79b0ff; --good: #5fce84; --bad: #ff8f86; --idle: #f0c060; --bar: #5b9fe0; --track: #2c3641; --badback: #3a1d1d;
    --idleback: #33290f; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.45 system-ui, sans-serif; }
body > * { max-width: 84rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 1.5rem; display: flex; flex-wrap: wrap; gap: .1rem 1.25rem; align-items: baseline; }
footer { padding: 1.5rem 1rem 3rem; color: var(--soft); font-size: .87rem; }
h1 { font-size: 1.05rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; overflow-wrap: anywhere; }
a { color: var(--link); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.soft { color: var(--soft); }
.legend { font-size: .82rem; margin: .5rem 0 0; }
.lead { font-size: 1.3rem; line-height: 1.35; margin: .6rem 0 1rem; }
.note { padding: .6rem .9rem; border-radius: .5rem; margin: .6rem 0; background: var(--idleback); }
.note.e { background: var(--badback); }
.good, .bad, .idle { font-weight: 600; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.idle { color: var(--idle); }
.bar { display: flex; flex-wrap: wrap; gap: .5rem 1.25rem; align-items: center; justify-content: space-between; margin: 1rem 0 .6rem; }
form { display: flex; gap: .5rem; align-items: center; max-width: 100%; }
input, button { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--soft); border-radius: .4rem;
  padding: .3rem .6rem; min-height: 2rem; }
input::placeholder { color: var(--soft); opacity: 1; }
input { width: 15rem; min-width: 0; flex: 0 1 auto; }
form a { white-space: nowrap; }
button { cursor: pointer; }
table { width: 100%; border-collapse: separate; border-spacing: 0; background: var(--card); border: 1px solid var(--line);
  border-radius: .6rem; font-size: .87rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .4rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; white-space: nowrap; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { position: sticky; top: 0; background: var(--card); color: var(--soft); font-weight: 500; font-size: .82rem;
  border-radius: .6rem .6rem 0 0; }
tbody th { font-weight: 600; }
th:first-child, .p, .s { text-align: left; }
tbody th, .p, .s { white-space: normal; overflow-wrap: anywhere; }
td.a, td.v { color: var(--soft); }
small { display: block; font-weight: 400; font-size: .82rem; color: var(--soft); }
small.i { color: var(--idle); }
tbody tr:hover { background: var(--back); }
[class*=" b"]::after { content: ""; display: block; height: 4px; border-radius: 2px; margin-top: .25rem; min-width: 4rem;
  background: linear-gradient(var(--bar) 0 0) 0 0 / var(--w) 100% no-repeat var(--track); forced-color-adjust: none; }
${BAR_RULES}
td.s { --dot: var(--good); }
td.i { --dot: var(--idle); }
td.e { --dot: var(--bad); }
td.o, .past td.s { --dot: var(--soft); }
@media (min-width: 70.01rem) {
  tbody th { min-width: 11rem; max-width: 24rem; }
  td.p { min-width: 6rem; }
  td.s { min-width: 6.5rem; overflow-wrap: normal; }
  td.c { min-width: 6rem; }
  tbody .s::before { content: ""; display: inline-block; width: .5em; height: .5em; border-radius: 50%; margin-right: .45em;
    vertical-align: .1em; background: var(--dot); forced-color-adjust: none; }
}
ul { margin: 0; padding: 0; list-style: none; }
main li { padding: .5rem .9rem; background: var(--card); border: 1px solid var(--line); border-top-width: 0; overflow-wrap: anywhere; }
main li:first-child { border-top-width: 1px; border-radius: .6rem .6rem 0 0; }
main li:last-child { border-radius: 0 0 .6rem .6rem; }
main li:only-child { border-radius: .6rem; }
footer li { display: inline-block; margin-right: 1.25rem; }
@media (max-width: 70rem) {
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table, tbody { display: block; border: 0; background: none; }
  tbody tr { display: grid; grid-template-columns: repeat(8, minmax(0, 1fr)); gap: .6rem .7rem; background: var(--card);
    border: 1px solid var(--line); border-radius: .6rem; padding: .7rem .9rem; margin-bottom: .6rem; }
  tbody tr:hover { background: var(--card); }
  tbody tr > * { padding: 0; border: 0; text-align: left; min-width: 0; max-width: none; }
  tbody th { grid-column: span 4; font-size: 1rem; }
  tbody td { order: 1; white-space: normal; overflow-wrap: anywhere; }
  tbody .s, tbody .p, tbody .v, tbody .a { order: 0; }
  tbody .c, tbody .m { grid-column: span 2; }
  tbody td.s { color: var(--dot); }
  tbody td::before { display: block; color: var(--soft); font-size: .78rem; }
${LABEL_RULES}
}
@media (max-width: 44rem) {
  tbody tr { grid-template-columns: repeat(4, minmax(0, 1fr)); }
}
@media (max-width: 23rem) {
  tbody tr { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  tbody th { grid-column: span 2; }
  tbody .c, tbody .m { grid-column: span 1; }
}
`;
