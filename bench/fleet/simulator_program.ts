/**
 * Serves the pages of many simulated hypervisors, each on a port of its own of the loopback address, until standard input
 * ends. The argument is a {@link FleetSettings} in JSON. The first line of output is a JSON list of the ports.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { numbersFrom, type PageTemplate, readTemplate, SimulatedHost } from "./simulated_page.ts";

/** What is simulated. */
export interface FleetSettings {
  readonly hosts: number;
  /** Files with a page of the exporter's, in both formats. */
  readonly text: string;
  readonly openMetrics: string;
  /** After this time values are others. */
  readonly intervalSeconds: number;
  /** How much time passes for the guests meanwhile. */
  readonly simulatedSeconds: number;
  /** Which share of the instances another one takes the place of, in an hour of the guests' time. */
  readonly replacedPerHour: number;
}

/** What the simulator tells at `/statistics`. */
export interface FleetStatistics {
  readonly pages: number;
  /** Of all pages, as they went over the wire. */
  readonly bytes: number;
  readonly textBytes: number;
  readonly replaced: number;
}

/** How hard the exporter's gzip tries. */
const GZIP_LEVEL = 3;

/** A host and its present page, which all who ask within an interval get. */
interface ServedHost {
  readonly host: SimulatedHost;
  readonly isOpenMetrics: boolean;
  tick: number;
  page: Uint8Array;
  zipped: Uint8Array | undefined;
}

const settings: FleetSettings = JSON.parse(Deno.args[0] ?? "{}");
const encoder = new TextEncoder();
const templates = {
  text: readTemplate(await Deno.readTextFile(settings.text)),
  openMetrics: readTemplate(await Deno.readTextFile(settings.openMetrics)),
};
const started = Date.now();
const statistics = { pages: 0, bytes: 0, textBytes: 0, replaced: 0 };

function served(template: PageTemplate, number: number, isOpenMetrics: boolean): ServedHost {
  const host = new SimulatedHost(template, number);
  return { host, isOpenMetrics, tick: 0, page: encoder.encode(host.page()), zipped: undefined };
}

/** Brings a host to the present. */
function bringUp(one: ServedHost, number: number): void {
  const tick = Math.floor((Date.now() - started) / 1_000 / settings.intervalSeconds);
  if (tick === one.tick) return;
  while (one.tick < tick) {
    one.tick++;
    one.host.advance(settings.simulatedSeconds);
    replaceSome(one, number);
  }
  one.page = encoder.encode(one.host.page());
  one.zipped = undefined;
}

/** Both formats of a host lose the same instances, as what is replaced depends on the host and the tick alone. */
function replaceSome({ host, tick, isOpenMetrics }: ServedHost, number: number): void {
  const next = numbersFrom(number * 7_919 + tick * 104_729);
  next();
  const { instances } = templates.text;
  let expected = settings.replacedPerHour * instances * settings.simulatedSeconds / 3_600;
  for (; next() < expected; expected--) {
    host.replaceInstance(Math.floor(next() * instances));
    if (!isOpenMetrics) statistics.replaced++;
  }
}

function answer(
  host: (isOpenMetrics: boolean) => ServedHost,
  number: number,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  if (request.url === "/statistics") {
    response.end(JSON.stringify(statistics));
    return;
  }
  const isOpenMetrics = request.headers.accept?.includes("openmetrics") === true;
  const one = host(isOpenMetrics);
  bringUp(one, number);
  const isZipped = request.headers["accept-encoding"]?.includes("gzip") === true;
  if (isZipped) one.zipped ??= gzipSync(one.page, { level: GZIP_LEVEL });
  const body = isZipped ? one.zipped ?? one.page : one.page;
  statistics.pages++;
  statistics.bytes += body.length;
  statistics.textBytes += one.page.length;
  response.writeHead(200, {
    "Content-Type": isOpenMetrics
      ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
      : "text/plain; version=0.0.4; charset=utf-8",
    "Content-Length": body.length,
    ...(isZipped ? { "Content-Encoding": "gzip" } : {}),
  });
  response.end(body);
}

const ports = await Promise.all(
  Array.from({ length: settings.hosts }, (_, number) => {
    // Made when it is asked for: an engine asks for one of the formats only.
    const made = new Map<boolean, ServedHost>();
    const host = (isOpenMetrics: boolean): ServedHost => {
      const present = made.get(isOpenMetrics);
      if (present !== undefined) return present;
      const template = isOpenMetrics ? templates.openMetrics : templates.text;
      const one = served(template, number, isOpenMetrics);
      made.set(isOpenMetrics, one);
      return one;
    };
    const server = createServer((request, response) => answer(host, number, request, response));
    return new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
    });
  }),
);
Deno.stdout.writeSync(encoder.encode(`${JSON.stringify(ports)}\n`));
for await (const _ of Deno.stdin.readable);
Deno.exit(0);
