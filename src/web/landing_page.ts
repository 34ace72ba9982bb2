import { createHash } from "node:crypto";
import type { Page } from "./answer.ts";
import type { ExporterState } from "./exporter_state.ts";
import { type Html, safeHtml } from "./html.ts";

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

/** Nothing may be loaded or run; the one style is known by its hash. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const HEADERS = {
  "Content-Security-Policy": CONTENT_SECURITY_POLICY,
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cache-Control": "no-store",
} as const;

/**
 * Makes the page at `/` for people: what this is, where the metrics are, and how it goes. It asks nothing of libvirt.
 *
 * @param now the time that ages are counted to
 */
export function landingPage(
  state: ExporterState,
  links: LandingPageLinks,
  now: Date = new Date(),
): Page {
  const document = safeHtml`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>libvirt_nova_exporter</title>
<style>${{ markup: STYLE }}</style>
</head>
<body>
<main>
<h1>libvirt_nova_exporter</h1>
<p class="soft">Prometheus exporter for the instances of an OpenStack compute host</p>
<div class="card">
<dl>
${row("libvirt", describeConnection(state))}
${row("Instances", describeInstances(state))}
${row("Last collection", describeCollection(state, now))}
${row("Version", safeHtml`${state.version} (${state.runtime})`)}
</dl>
</div>
${describeProblems(state.problems)}
<h2>Pages</h2>
<ul>
${link(links.metrics, "metrics for Prometheus")}
${link(links.healthy, "200 while the exporter runs")}
${link(links.ready, "200 while libvirt answers, else 503")}
</ul>
</main>
</body>
</html>
`;
  return {
    status: 200,
    contentType: "text/html; charset=utf-8",
    chunks: [new TextEncoder().encode(document.markup)],
    headers: HEADERS,
  };
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

function describeConnection({ isUp, reason }: ExporterState): Html {
  if (isUp === undefined) return safeHtml`<span class="idle">not asked yet</span>`;
  if (isUp) return safeHtml`<span class="good">connected</span>`;
  return safeHtml`<span class="bad">not available</span><br>${cut(reason ?? "unknown reason")}`;
}

function describeInstances({ instances, unread }: ExporterState): Html {
  if (instances === undefined) return safeHtml`unknown`;
  return unread === 0
    ? safeHtml`${instances}`
    : safeHtml`${instances}, of which ${unread} are still to be read`;
}

function describeCollection({ collectedAt }: ExporterState, now: Date): Html {
  if (collectedAt === undefined) return safeHtml`none yet`;
  const time = collectedAt.toISOString();
  const seconds = Math.max(0, Math.round((now.getTime() - collectedAt.getTime()) / 1_000));
  const age = seconds === 1 ? "1 second ago" : `${seconds} seconds ago`;
  const shown = `${time.slice(0, 10)} ${time.slice(11, 19)} UTC`;
  return safeHtml`<time datetime="${time}">${shown}</time> <span class="soft age">${age}</span>`;
}

function describeProblems(problems: readonly string[]): Html {
  if (problems.length === 0) return safeHtml``;
  const shown = problems.slice(0, MAXIMUM_PROBLEMS).map((problem) =>
    safeHtml`<li>${cut(problem)}</li>`
  );
  const hidden = problems.length - shown.length;
  return safeHtml`<h2>Problems now</h2>
<ul>
${shown}
${hidden === 0 ? safeHtml`` : safeHtml`<li class="soft">and ${hidden} more, see the log</li>`}
</ul>`;
}

function cut(text: string): string {
  return text.length > MAXIMUM_TEXT_LENGTH ? `${text.slice(0, MAXIMUM_TEXT_LENGTH)}…` : text;
}

/** A path as a link to it: relative to this host, and never to another, as one that begins with `//` would be. */
function toHref(path: string): string {
  const encoded = path.split("/").map(encodeURIComponent).join("/");
  return encoded.startsWith("//") ? `/.${encoded}` : encoded;
}
