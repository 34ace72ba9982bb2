import assert from "node:assert/strict";
import type { ExporterState } from "../src/web/exporter_state.ts";
import type { PageRequest } from "../src/web/router.ts";
import { createRoutes } from "../src/web/routes.ts";

const STATE: ExporterState = {
  version: "1",
  runtime: "bun",
  isUp: true,
  reason: undefined,
  instances: 1,
  unread: 0,
  collectedAt: new Date(),
  problems: [],
};
const METRICS = { status: 200, contentType: "text/plain; version=0.0.4", chunks: [] };

async function contentTypes(metricsPath: string): Promise<Readonly<Record<string, string>>> {
  const routes = createRoutes({
    metricsPath,
    metrics: () => Promise.resolve(METRICS),
    state: () => STATE,
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

Deno.test("createRoutes() gives the metrics the path that was asked for, even that of another page", async () => {
  for (const path of ["/", "/-/healthy"]) {
    const types = await contentTypes(path);
    assert.equal(types[path], METRICS.contentType);
    assert.equal(Object.keys(types).length, 3);
  }
});
