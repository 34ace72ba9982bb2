import { PROBE_PATH } from "../config/values.ts";
import type { Problem } from "../scrape/conditions.ts";
import { readConnectionUri } from "../libvirt/connection_uri.ts";
import type { InstanceFacts, Overview } from "../once/overview.ts";
import { hostText, NO_INSTANCES } from "../once/overview_text.ts";
import { countOf, durationText } from "../once/units.ts";
import type { Page } from "../web/answer.ts";
import type { ExporterStatus, TargetStatus } from "../scrape/status.ts";
import { cutHtml, type Html, safeHtml, visibleText } from "./html.ts";
import { createHtmlPageMaker, timeHtml, toHref } from "./html_page.ts";
import type { LandingPageLinks } from "./landing_page.ts";
import { OVERVIEW_STYLE } from "./overview_style.ts";
import { instanceTable, MAXIMUM_ROWS } from "./overview_table.ts";

/** What the last two collections show, and how old it is. */
export interface Seen {
  readonly overview: Overview;
  readonly ageSeconds: number;
}

/** What the overview shows. */
export interface OverviewFacts {
  readonly status: ExporterStatus;
  /** The hypervisor's, without a password. */
  readonly uri: string;
  /** Undefined before a collection has found libvirt. */
  readonly seen: Seen | undefined;
  readonly targets: readonly TargetStatus[];
  /** Words that an instance must have to be shown; `""` shows all. */
  readonly filter: string;
}

/** Problems that are shown; the rest is counted. */
const MAXIMUM_PROBLEMS = 20;

/** What a text about a problem, and the hypervisor's URI, may take on the page at most. */
const MAXIMUM_TEXT_BYTES = 500;
const MAXIMUM_URI_BYTES = 200;

/** A longer filter would find nothing that is on the page. */
const MAXIMUM_FILTER_LENGTH = 100;

const CPU_LEGEND =
  "CPU is percent of one core, as in top, and its bar the share of the instance's vCPUs. ";
const MEMORY_LEGEND = "Memory is what the guest said that it uses, of what it has. ";
const GAP_LEGEND = "– is what libvirt did not say.";

const NOTHING = safeHtml``;

const makePage = createHtmlPageMaker(OVERVIEW_STYLE, true);

/**
 * Makes the page at `/` for people: what is on the hypervisor, as `--once --format=table` shows it, how the exporter goes,
 * and where the other pages are.
 *
 * @param now the time that ages of targets are counted to
 */
export function overviewPage(
  facts: OverviewFacts,
  links: LandingPageLinks,
  now: Date = new Date(),
): Page {
  const { status, uri, seen, targets } = facts;
  return makePage(safeHtml`<header>
<h1>libvirt_nova_exporter</h1>
<p>${connection(status)}${hypervisorName(uri)}</p>
</header>
<main>
${seen === undefined ? NOTHING : demoNote(uri)}${outageNote(status, seen)}${
    seen === undefined ? nothingSeen(status) : instances(facts, seen)
  }
${problemSection(status)}
${targetSection(targets, now)}
</main>
<footer>
<ul>
${link(links.metrics, "metrics for Prometheus")}
${link(links.healthy, "200 while the exporter runs")}
${link(links.ready, "200 while libvirt answers, else 503")}
</ul>
<p>Version ${status.version} (${status.runtime})</p>
</footer>`);
}

function link(path: string, meaning: string): Html {
  return safeHtml`<li><a href="${toHref(path)}">${path}</a> ${meaning}</li>`;
}

function connection({ isUp, problems }: ExporterStatus): Html {
  if (isUp === undefined) return safeHtml`<span class="idle">not asked yet</span>`;
  if (!isUp) return safeHtml`<span class="bad">not available</span>`;
  const count = problems.length;
  if (count === 0) return safeHtml`<span class="good">connected</span> · no problems`;
  return safeHtml`<span class="good">connected</span> · <a href="#problems">${count} ${
    count === 1 ? "problem" : "problems"
  }</a>`;
}

/** Where a demo lies says nothing to anybody. */
function hypervisorName(uri: string): Html {
  if (isDemo(uri)) return NOTHING;
  return safeHtml` · <span class="soft">${cutHtml(uri, MAXIMUM_URI_BYTES)}</span>`;
}

function isDemo(uri: string): boolean {
  return readConnectionUri(uri).driver === "test";
}

function demoNote(uri: string): Html {
  if (!isDemo(uri)) return NOTHING;
  return safeHtml`<p class="note"><strong>This is a demo.</strong> libvirt's test driver makes up these instances and what they do.</p>
`;
}

function outageNote({ isUp, reason, problems }: ExporterStatus, seen: Seen | undefined): Html {
  if (isUp !== false) return NOTHING;
  const [problem] = problems;
  const since = problem === undefined ? NOTHING : safeHtml` since ${timeHtml(problem.since)}`;
  const before = seen === undefined
    ? NOTHING
    : safeHtml` What is below was seen before that, ${durationText(seen.ageSeconds)} ago.`;
  return safeHtml`<p class="note e"><strong>libvirt is not available</strong>${since}: ${
    cutHtml(reason ?? "unknown reason", MAXIMUM_TEXT_BYTES)
  }.${before}</p>
`;
}

function nothingSeen({ isUp }: ExporterStatus): Html {
  return isUp === false
    ? safeHtml`<p><a href="./">Look again</a></p>`
    : safeHtml`<p class="lead">libvirt has not been asked yet. <a href="./">Look again</a> in a moment.</p>`;
}

function instances({ status, filter }: OverviewFacts, { overview, ageSeconds }: Seen): Html {
  const { host, asked } = overview;
  const words = wordsOf(filter);
  const found = overview.instances.filter((instance) => hasWords(instance, words));
  const shown = found.slice(0, MAXIMUM_ROWS);
  return safeHtml`<p class="lead">${hostText(host)}${leftOut(status)}</p>
<div class="bar">
${overview.instances.length === 0 ? safeHtml`<span></span>` : filterForm(filter)}
<p class="soft">${agesText(overview, ageSeconds)} <a href="${sameView(filter)}">Look again</a></p>
</div>
${countNote(overview, found.length, filter)}${
    shown.length === 0
      ? NOTHING
      : safeHtml`${
        instanceTable(shown, { asked, age: durationText(ageSeconds), isPast: status.isUp !== true })
      }
<p class="soft legend">${asked.cpu ? CPU_LEGEND : ""}${
        asked.memory ? MEMORY_LEGEND : ""
      }${GAP_LEGEND}</p>`
  }`;
}

/** Where the page shows the same again. */
function sameView(filter: string): string {
  return filter === "" ? "./" : `./?filter=${encodeURIComponent(filter)}`;
}

function leftOut({ isUp, unread, filtered }: ExporterStatus): string {
  if (isUp !== true) return "";
  return [
    ...(unread === 0 ? [] : [`, ${unread} still to be read`]),
    ...(filtered === 0 ? [] : [`, without ${filtered} that the filters leave out`]),
  ].join("");
}

function filterForm(filter: string): Html {
  const all = filter === "" ? NOTHING : safeHtml` <a href="./">Show all</a>`;
  return safeHtml`<form role="search"><label for="filter">Filter</label>
<input id="filter" name="filter" type="search" value="${filter}" placeholder="name, project or state" maxlength="${MAXIMUM_FILTER_LENGTH}">
<button>Show</button>${all}</form>`;
}

function agesText({ rateSeconds, asked }: Overview, ageSeconds: number): string {
  const ages = `Values ${durationText(ageSeconds)} old`;
  if (!asked.cpu && !asked.disk && !asked.network) return `${ages}.`;
  return rateSeconds === undefined
    ? `${ages}; rates come with the next collection.`
    : `${ages}, rates of ${durationText(rateSeconds)}.`;
}

function countNote({ instances }: Overview, found: number, filter: string): Html {
  if (instances.length === 0) return safeHtml`<p>${NO_INSTANCES}</p>`;
  const parts = [
    ...(filter === "" ? [] : [`“${filter}” is in ${found} of ${countOf(instances.length)}.`]),
    ...(found > MAXIMUM_ROWS
      ? [`Only the busiest ${MAXIMUM_ROWS} of ${found} are shown: filter to see others.`]
      : []),
  ];
  return parts.length === 0 ? NOTHING : safeHtml`<p role="status">${parts.join(" ")}</p>
`;
}

/** What the query of a request wants to see. */
export function filterOf(query: string): string {
  const given = new URLSearchParams(query).get("filter") ?? "";
  // A cut between the halves of a surrogate pair would leave half a character.
  return given.toWellFormed().trim().slice(0, MAXIMUM_FILTER_LENGTH).replace(
    /[\ud800-\udbff]$/,
    "",
  );
}

function wordsOf(filter: string): readonly string[] {
  return comparable(filter).split(/\s+/).filter((word) => word !== "");
}

function hasWords(instance: InstanceFacts, words: readonly string[]): boolean {
  if (words.length === 0) return true;
  const { name, libvirtName, project, state, reason, incomplete } = instance;
  const texts = [name, libvirtName, project, state, reason];
  const marks = incomplete === undefined ? [] : ["incomplete", incomplete];
  const text = comparable([...texts, ...marks].filter((one) => one !== undefined).join("\n"));
  return words.every((word) => text.includes(word));
}

/** What is copied from the page, and what the form has after a look, is found as well as what was given first. */
function comparable(text: string): string {
  return visibleText(text).normalize("NFC").toLowerCase();
}

function problemSection({ isUp, problems, pastProblems }: ExporterStatus): Html {
  // An outage is the only problem while it lasts, and stands above.
  const present = isUp === true ? problems : [];
  if (present.length + pastProblems.length === 0) return NOTHING;
  const shown = present.slice(0, MAXIMUM_PROBLEMS);
  const hidden = present.length - shown.length;
  return safeHtml`<h2 id="problems">Problems</h2>
<ul>
${shown.map(problemItem)}${
    hidden === 0 ? NOTHING : safeHtml`<li class="soft">and ${hidden} more, see the log</li>
`
  }${pastProblems.map(problemItem)}</ul>`;
}

function problemItem({ text, since, until }: Problem): Html {
  const what = cutHtml(text, MAXIMUM_TEXT_BYTES);
  return until === undefined
    ? safeHtml`<li><span class="bad">Now:</span> ${what} <span class="soft">since ${
      timeHtml(since)
    }</span></li>
`
    : safeHtml`<li class="soft">Over: ${what} from ${timeHtml(since)} to ${timeHtml(until)}</li>
`;
}

function targetSection(targets: readonly TargetStatus[], now: Date): Html {
  if (targets.length === 0) return NOTHING;
  return safeHtml`<h2>Targets of ${PROBE_PATH}</h2>
<ul>
${targets.map((target) => targetItem(target, now))}</ul>`;
}

function targetItem({ name, status }: TargetStatus, now: Date): Html {
  const href = `${toHref(PROBE_PATH)}?target=${encodeURIComponent(name)}`;
  return safeHtml`<li><a href="${href}">${name}</a> ${targetState(status)} ${
    targetAge(status, now)
  }</li>
`;
}

function targetState(status: ExporterStatus | undefined): Html {
  const { isUp, reason, instances = 0, problems } = status ?? {};
  if (isUp === undefined) return safeHtml`<span class="idle">not asked yet</span>`;
  if (!isUp) {
    const why = cutHtml(reason ?? "unknown reason", MAXIMUM_TEXT_BYTES);
    return safeHtml`<span class="bad">not available</span>: ${why}`;
  }
  const count = problems?.length ?? 0;
  const trouble = count === 0 ? "" : `, ${count} ${count === 1 ? "problem" : "problems"}`;
  return safeHtml`<span class="good">connected</span>, ${countOf(instances)}${trouble}`;
}

function targetAge(status: ExporterStatus | undefined, now: Date): Html {
  if (status?.collectedAt === undefined) return NOTHING;
  const seconds = (now.getTime() - status.collectedAt.getTime()) / 1_000;
  return safeHtml`<span class="soft">${durationText(seconds)} ago</span>`;
}
