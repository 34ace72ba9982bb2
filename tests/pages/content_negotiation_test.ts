import assert from "node:assert/strict";
import type { ExpositionFormat } from "../../src/metrics/exposition.ts";
import { acceptsGzip, chooseFormat } from "../../src/pages/content_negotiation.ts";

const CASES: readonly (readonly [string, string | undefined, ExpositionFormat])[] = [
  // As their sources have it.
  [
    "Prometheus 2.4",
    "text/plain;version=0.0.4;q=1,*/*;q=0.1",
    "text",
  ],
  [
    "Prometheus 2.30, whose OpenMetrics is older than this exporter's",
    "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "text",
  ],
  // As recorded from the programs themselves.
  [
    "Prometheus 2.42",
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "openmetrics",
  ],
  [
    "Prometheus 3.5",
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    "openmetrics",
  ],
  [
    "Prometheus 3.5 with metric_name_escaping_scheme: underscores",
    "application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=underscores;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    "openmetrics",
  ],
  [
    "Prometheus 3.5 that prefers protocol buffers, then OpenMetrics",
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3",
    "openmetrics",
  ],
  [
    "Prometheus 3.5 with scrape_protocols that put text first",
    "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.4",
    "text",
  ],
  ["curl", "*/*", "text"],
  [
    "a browser",
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "text",
  ],
  ["no header", undefined, "text"],
  ["an empty header", "", "text"],

  ["OpenMetrics of any version", "application/openmetrics-text", "openmetrics"],
  ["a quoted version", 'application/openmetrics-text; version="1.0.0"', "openmetrics"],
  ["a charset", "application/openmetrics-text; version=1.0.0; charset=UTF-8", "openmetrics"],
  [
    "upper case and blanks",
    " APPLICATION/OpenMetrics-Text ;\tVersion=1.0.0 ; Q=1",
    "openmetrics",
  ],
  ["a version to come", "application/openmetrics-text;version=2.0.0", "text"],
  ["OpenMetrics 0.0.1 alone", "application/openmetrics-text;version=0.0.1", "text"],
  [
    "OpenMetrics 0.0.1, else whatever is not text",
    "application/openmetrics-text;version=0.0.1,*/*;q=0.5,text/plain;q=0.1",
    "openmetrics",
  ],
  ["another charset", "application/openmetrics-text;charset=utf-16", "text"],
  ["an escaping scheme to come", "application/openmetrics-text;escaping=new", "text"],
  ["any application", "application/*", "openmetrics"],
  ["any text", "text/*, application/openmetrics-text;q=0.9", "text"],

  [
    "a tie of named formats, by their order",
    "application/openmetrics-text,text/plain",
    "openmetrics",
  ],
  [
    "a tie of named formats, by their order, the other way",
    "text/plain,application/openmetrics-text",
    "text",
  ],
  ["a tie that names one", "*/*,application/openmetrics-text", "openmetrics"],
  ["a tie that names none", "application/*,text/*", "openmetrics"],

  ["OpenMetrics excluded", "application/openmetrics-text;q=0,*/*", "text"],
  [
    "OpenMetrics excluded, written long",
    "application/openmetrics-text;q=0.000,*/*;q=0.1",
    "text",
  ],
  ["text excluded", "text/plain;q=0,*/*;q=0.1", "openmetrics"],
  ["text of another version excluded", "text/plain;version=1.0.0;q=0,*/*", "text"],
  ["everything excluded", "*/*;q=0", "text"],
  [
    "the most specific range, whatever else matches",
    "*/*;q=1,application/*;q=0.9,application/openmetrics-text;q=0.8,application/openmetrics-text;version=1.0.0;q=0.1,text/plain;q=0.2",
    "text",
  ],

  ["another type", "application/json", "text"],
  ["a type without subtype", "application", "text"],
  ["a weight that is no number", "application/openmetrics-text;q=high", "text"],
  ["a parameter without value", "application/openmetrics-text;version", "openmetrics"],
  // What is before the quote can be read.
  ["a quote without end", 'application/openmetrics-text;version="0.0.1', "openmetrics"],
  ["a header beyond all reason", "application/openmetrics-text,".repeat(100), "text"],
  ["nonsense", ';;=",,;q=,/', "text"],
  ["characters beyond ASCII", "ä/ö;ü=\u0000", "text"],
  [
    "a parameter named as what all objects have",
    "application/openmetrics-text;__proto__=1",
    "text",
  ],
];

Deno.test("chooseFormat() chooses what each client wants most", async (t) => {
  for (const [client, accept, expected] of CASES) {
    await t.step(client, () => assert.equal(chooseFormat(accept), expected));
  }
});

Deno.test("acceptsGzip() heeds weights, wildcards, the plain page and gzip's other name", async (t) => {
  const cases: readonly (readonly [string | undefined, boolean])[] = [
    [undefined, false],
    ["", false],
    ["gzip", true],
    ["GZIP", true],
    ["x-gzip", true],
    ["X-Gzip;q=0.5", true],
    ["x-gzip;q=0", false],
    ["deflate, gzip;q=1.0, *;q=0.5", true],
    ["gzip, deflate, br, zstd", true],
    ["br", false],
    ["not-x-gzip", false],
    ["gzipped", false],
    ["*", true],
    ["*;q=0", false],
    ["gzip;q=0", false],
    ["gzip;q=0, *", false],
    ["gzip;q=0.001", true],
    ["identity", false],
    ["identity;q=0", false],
    ["identity;q=0, gzip", true],
    ["identity;q=0, *", true],
    ["gzip;q=0.5, identity", false],
    ["gzip, identity;q=0.5", true],
    ["gzip;q=high", false],
    [';;=",,;q=,/', false],
    ["gzip,".repeat(500), false],
  ];
  for (const [acceptEncoding, expected] of cases) {
    await t.step(String(acceptEncoding), () => assert.equal(acceptsGzip(acceptEncoding), expected));
  }
});
