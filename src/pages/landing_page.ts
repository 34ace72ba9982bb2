import type { Page } from "../web/answer.ts";
import type { Problem } from "../scrape/conditions.ts";
import type { ExporterStatus } from "../scrape/status.ts";
import { cut } from "../text.ts";
import { type Html, safeHtml } from "./html.ts";
import { createHtmlPageMaker, timeHtml, toHref } from "./html_page.ts";

/** What the page links to. */
export interface LandingPageLinks {
  /** Path of the metrics page. */
  readonly metrics: string;
  readonly healthy: string;
  readonly ready: string;
}

/** Problems that are shown; the rest is counted. */
const MAXIMUM_PROBLEMS = 20;

/** Longest part of a text from outside that is shown. */
const MAXIMUM_TEXT_LENGTH = 500;

const STYLE = `
:root { color-scheme: light dark; --text: #1d2530; --soft: #5b6675; --line: #d8dee6; --back: #f6f8fa; --card: #fff;
  --link: #0b57c2; --good: #116d33; --bad: #b3261e; --idle: #7a5200; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e9ee; --soft: #9aa6b4; --line: #333c48; --back: #14181d; --card: #1c2229;
    --link: #79b0ff; --good: #5fce84; --bad: #ff8a80; --idle: #f0c060; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 44rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.4rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
p { margin: .25rem 0; }
a { color: var(--link); }
.soft { color: var(--soft); }
.age { white-space: nowrap; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .25rem 1rem; margin-top: 1rem; }
dl { margin: 0; }
dl > div { display: flex; flex-wrap: wrap; gap: 0 1rem; padding: .6rem 0; border-bottom: 1px solid var(--line); }
dl > div:last-child { border-bottom: 0; }
dt { color: var(--soft); flex: 0 0 10rem; }
dd { margin: 0; flex: 1 1 14rem; min-width: 0; overflow-wrap: anywhere; }
.good { color: var(--good); font-weight: 600; }
.bad { color: var(--bad); font-weight: 600; }
.idle { color: var(--idle); font-weight: 600; }
ul { margin: 0; padding-left: 1.2rem; }
li { margin: .3rem 0; overflow-wrap: anywhere; }
`;

const makePage = createHtmlPageMaker(STYLE);

/**
 * Makes the small page at `/` for people: what this is, where the metrics are, and how it goes. It asks nothing of libvirt,
 * and names no instance.
 *
 * @param now the time that ages are counted to
 */
export function landingPage(
  status: ExporterStatus,
  links: LandingPageLinks,
  now: Date = new Date(),
): Page {
  return makePage(safeHtml`<main>
<h1>libvirt_nova_exporter</h1>
<p class="soft">Prometheus exporter for the instances of an OpenStack compute host</p>
<div class="card">
<dl>
${row("libvirt", connectionHtml(status))}
${row("Instances", instancesHtml(status))}
${row("Last collection", collectionHtml(status, now))}
${row("Version", safeHtml`${status.version} (${status.runtime})`)}
</dl>
</div>
${problemsHtml(status)}
<h2>Pages</h2>
<ul>
${link(links.metrics, "metrics for Prometheus")}
${link(links.healthy, "200 while the exporter runs")}
${link(links.ready, "200 while libvirt answers, else 503")}
</ul>
</main>`);
}

function row(name: string, value: Html): Html {
  return safeHtml`<div><dt>${name}</dt><dd>${value}</dd></div>`;
}

function link(path: string, meaning: string): Html {
  return safeHtml`<li><a href="${
    toHref(path)
  }">${path}</a> <span class="soft">${meaning}</span></li>
`;
}

function connectionHtml({ isUp, reason }: ExporterStatus): Html {
  if (isUp === undefined) return safeHtml`<span class="idle">not asked yet</span>`;
  if (isUp) return safeHtml`<span class="good">connected</span>`;
  return safeHtml`<span class="bad">not available</span><br>${
    cut(reason ?? "unknown reason", MAXIMUM_TEXT_LENGTH)
  }`;
}

function instancesHtml({ instances, unread, filtered }: ExporterStatus): Html {
  if (instances === undefined) return safeHtml`unknown`;
  const parts = [
    String(instances),
    ...(unread === 0 ? [] : [`of which ${unread} are still to be read`]),
    ...(filtered === 0 ? [] : [`without ${filtered} that the filters leave out`]),
  ];
  return safeHtml`${parts.join(", ")}`;
}

function collectionHtml({ collectedAt }: ExporterStatus, now: Date): Html {
  if (collectedAt === undefined) return safeHtml`none yet`;
  const seconds = Math.max(0, Math.round((now.getTime() - collectedAt.getTime()) / 1_000));
  const age = seconds === 1 ? "1 second ago" : `${seconds} seconds ago`;
  return safeHtml`${timeHtml(collectedAt)} <span class="soft age">${age}</span>`;
}

/** Without the names of those whom a problem concerns. */
function problemsHtml({ isUp, problems }: ExporterStatus): Html {
  const kinds = countKinds(isUp === true ? problems : []);
  if (kinds.length === 0) return safeHtml``;
  const shown = kinds.slice(0, MAXIMUM_PROBLEMS).map(([message, count]) =>
    safeHtml`<li>${cut(message, MAXIMUM_TEXT_LENGTH)}${count > 1 ? ` (${count})` : ""}</li>`
  );
  const hidden = kinds.length - shown.length;
  return safeHtml`<h2>Problems now</h2>
<ul>
${shown}
${hidden === 0 ? safeHtml`` : safeHtml`<li class="soft">and ${hidden} more, see the log</li>`}
</ul>`;
}

/** How many problems there are of each kind. */
function countKinds(problems: readonly Problem[]): readonly (readonly [string, number])[] {
  const counts = new Map<string, number>();
  for (const { message } of problems) counts.set(message, (counts.get(message) ?? 0) + 1);
  return [...counts];
}
