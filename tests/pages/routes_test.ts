import assert from "node:assert/strict";
import type { PageRequest } from "../../src/web/router.ts";
import { createRoutes } from "../../src/pages/routes.ts";
import { startWebServer } from "../../src/web/server.ts";
import { fixedWebSettings, OPEN_WEB_SETTINGS } from "../../src/web/settings/web_settings.ts";
import { SILENT } from "../../testing/scraper_options.ts";
import type { ExporterStatus } from "../../src/scrape/status.ts";

const STATE: ExporterStatus = {
  version: "1",
  runtime: "bun",
  isUp: true,
  reason: undefined,
  instances: 1,
  unread: 0,
  filtered: 0,
  collectedAt: new Date(),
  problems: [],
  pastProblems: [],
};
const METRICS = { status: 200, contentType: "text/plain; version=0.0.4", chunks: [] };

async function contentTypes(metricsPath: string): Promise<Readonly<Record<string, string>>> {
  const routes = createRoutes({
    metricsPath,
    metrics: () => Promise.resolve(METRICS),
    status: () => STATE,
    onReadinessAsked: () => {},
  });
  const request: PageRequest = {
    method: "GET",
    query: "",
    headers: {},
    signal: new AbortController().signal,
  };
  const entries: [string, string][] = [];
  for (const [path, handler] of routes) entries.push([path, (await handler(request)).contentType]);
  return Object.fromEntries(entries);
}

const TEXT = "text/plain; charset=utf-8";

Deno.test("createRoutes() has a page for people, two for probes, and the metrics", async () => {
  assert.deepEqual(await contentTypes("/metrics"), {
    "/": "text/html; charset=utf-8",
    "/-/healthy": TEXT,
    "/-/ready": TEXT,
    "/metrics": METRICS.contentType,
  });
});

Deno.test("createRoutes() has the metrics instead of the page for people where they were asked for there", async () => {
  const types = await contentTypes("/");
  assert.equal(types["/"], METRICS.contentType);
  assert.equal(Object.keys(types).length, 3);
});

Deno.test("createRoutes() has another page for people where there is one, and gives it what to link to", async () => {
  const body = new TextEncoder().encode("overview");
  const routes = createRoutes({
    metricsPath: "/m",
    metrics: () => Promise.resolve(METRICS),
    status: () => STATE,
    onReadinessAsked: () => {},
    overview: (links) => () =>
      Promise.resolve({ status: 200, contentType: Object.values(links).join(" "), chunks: [body] }),
  });
  const signal = new AbortController().signal;
  const page = await routes.get("/")?.({ method: "GET", query: "", headers: {}, signal });
  assert.equal(page?.contentType, "/m /-/healthy /-/ready");
});

Deno.test("no page is made, and nothing is asked of libvirt for one, before a login", async () => {
  const made: string[] = [];
  const note = <Made>(name: string, value: Made): Made => {
    made.push(name);
    return value;
  };
  const server = await startWebServer({
    listenAddresses: [{ host: "127.0.0.1", port: 0 }],
    routes: createRoutes({
      metricsPath: "/metrics",
      metrics: () => Promise.resolve(note("metrics", METRICS)),
      status: () => note("status", STATE),
      onReadinessAsked: () => note("readiness", undefined),
      overview: () => () => Promise.resolve(note("overview", METRICS)),
      others: new Map([["/probe", () => Promise.resolve(note("probe", METRICS))]]),
    }),
    settings: fixedWebSettings({ ...OPEN_WEB_SETTINGS, users: new Map([["alice", "hash"]]) }),
    verifyPassword: (password) => Promise.resolve(new TextDecoder().decode(password) === "right"),
    log: SILENT,
  });
  try {
    const [address] = server.addresses;
    const origin = `http://127.0.0.1:${address !== undefined && "port" in address && address.port}`;
    const statusOf = async (path: string, password?: string): Promise<number> => {
      const authorization = `Basic ${btoa(`alice:${password}`)}`;
      const headers = new Headers(password === undefined ? {} : { authorization });
      const response = await fetch(`${origin}${path}`, { headers });
      await response.body?.cancel();
      return response.status;
    };
    const paths = ["/", "/-/healthy", "/-/ready", "/metrics", "/probe", "/nowhere"];
    for (const path of paths) {
      assert.deepEqual([await statusOf(path), await statusOf(path, "wrong")], [401, 401], path);
    }
    assert.deepEqual(made, []);
    for (const path of paths) {
      assert.equal(await statusOf(path, "right"), path === "/nowhere" ? 404 : 200);
    }
    assert.deepEqual(made, ["overview", "readiness", "status", "metrics", "probe"]);
  } finally {
    await server.close(0);
  }
});
