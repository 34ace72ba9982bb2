// Malformed requests, many of them, against the executable with a login: nothing that a client sends may end it, get past the
// login, or keep others from their answers.
//
// HTTP_FUZZ_REQUESTS says how many, HTTP_FUZZ_SEED which ones.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { parsePage } from "../../testing/parse_page.ts";
import { type ExporterProcess, startExporterProcess } from "../../testing/exporter_process.ts";
import { reportProgress } from "../../testing/packages.ts";
import { createRandom, type Random } from "./random.ts";
import { waitUntil } from "../../testing/wait_until.ts";

const REQUESTS = Number(Deno.env.get("HTTP_FUZZ_REQUESTS") ?? "4000");
const SEED = Number(Deno.env.get("HTTP_FUZZ_SEED") ?? Date.now() % 1_000_000);
const CLIENTS = 24;

/** Of "secret", at the lowest cost, so that many guesses are compared. */
const HASH = "$2y$04$TCUNVdRScz9WMeXbmK3ocenbDMrNffai7iNp0pxXiFVr0gUG3qxYu";
const CONFIG = `basic_auth_users:\n  alice: ${HASH}\n`;
const RIGHT = `Basic ${btoa("alice:secret")}`;

/** How long a client waits for an answer before it goes: what is no whole request gets none. */
const PATIENCE_MILLISECONDS = 30;

/** Between two requests that have to be answered. */
const PROBE_EVERY = 200;

/** What the process may take beyond what it took before; a leak of a kilobyte for each request would be found. */
const MEMORY_BYTES = 60e6 + REQUESTS * 200;

/** 100 comes before an answer; 0 stands for no answer. */
const ALLOWED_STATUSES = new Set([
  0,
  100,
  400,
  401,
  405,
  408,
  413,
  414,
  417,
  429,
  431,
  501,
  503,
  505,
]);

const AUTHORIZED_STATUSES = new Set([200, 404]);

interface Attempt {
  readonly bytes: Uint8Array;
  /** Whether it carries the right password, so that it may get a page. */
  readonly authorized: boolean;
  /** Whether the client resets the connection at once. */
  readonly abrupt: boolean;
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff);
}

const METHODS = [
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "CONNECT",
  "OPTIONS",
  "TRACE",
  "get",
  "",
  "G\u0000T",
  "PRI",
];
const VERSIONS = [
  "HTTP/1.1",
  "HTTP/1.0",
  "HTTP/2.0",
  "HTTP/9.9",
  "HTTP/1.",
  "http/1.1",
  "",
  "HTTP/1.1 x",
];
const TARGETS = [
  "/metrics",
  "/",
  "/-/ready",
  "*",
  "//",
  "/%zz",
  "/%00",
  "/%ff%fe",
  "/..%2f..%2fetc/passwd",
  "http://h/metrics",
  "https://h:1",
  "h:80",
  "/?%",
  "/metrics?collect[]=x&collect[]=",
  "/metrics?exclude[]=block&exclude=",
  "/metrics#x",
  "\\metrics",
  "",
];
const HEADER_NAMES = [
  "Host",
  "Content-Length",
  "Transfer-Encoding",
  "Connection",
  "Expect",
  "Upgrade",
  "Authorization",
  "Accept-Encoding",
  "X-Prometheus-Scrape-Timeout-Seconds",
  "Range",
  "Cookie",
];
const HEADER_VALUES = [
  "",
  "0",
  "-1",
  "1",
  "99999999999999999999",
  "1, 2",
  "chunked",
  "chunked, chunked",
  "gzip",
  "close",
  "keep-alive, upgrade",
  "100-continue",
  "h2c",
  "websocket",
  "\u0000",
  "\u00ff\u00fe",
  "NaN",
  "1e3",
  "0x10",
  "bytes=0-,0-,0-",
];

function randomBytes(random: Random, maximum: number): string {
  return Array.from({ length: random.below(maximum) }, () => String.fromCharCode(random.below(256)))
    .join("");
}

function authorizationOf(random: Random): string {
  return random.pick([
    () => "Basic",
    () => "Basic =",
    () => `Basic ${btoa(`alice:${random.below(1e9)}`)}`,
    () => `Basic ${btoa(randomBytes(random, 60))}`,
    () => `Basic ${btoa("alice:" + "x".repeat(random.below(9_000)))}`,
    () => `Basic ${btoa(":::")}`,
    () => `Bearer ${btoa("alice:SECRET")}`,
    // One that a mutation cannot make right.
    () => `Basic ${btoa("alice:SECRET")}x`,
    () => `Basic ${randomBytes(random, 40).replaceAll(/[\r\n]/g, "")}`,
  ])();
}

function headersOf(random: Random): string {
  const lines = Array.from({ length: random.below(8) }, () => {
    const name = random.chance(0.9) ? random.pick(HEADER_NAMES) : randomBytes(random, 20);
    const value = random.chance(0.8) ? random.pick(HEADER_VALUES) : randomBytes(random, 100);
    return `${name}${random.pick([": ", ":", " : ", "", ":\t"])}${value}${
      random.pick(["\r\n", "\r\n", "\r\n", "\n", "\r"])
    }`;
  });
  return lines.join("");
}

function requestOf(random: Random, authorization: string | undefined): string {
  const target = random.chance(0.8)
    ? random.pick(TARGETS)
    : `/${random.chance(0.1) ? "x".repeat(random.below(20_000)) : randomBytes(random, 200)}`;
  const line = `${random.pick(METHODS)} ${target} ${random.pick(VERSIONS)}\r\n`;
  const login = authorization === undefined ? "" : `Authorization: ${authorization}\r\n`;
  const host = random.chance(0.8) ? "Host: h\r\n" : "";
  const body = random.chance(0.3) ? randomBytes(random, 300) : "";
  return `${line}${host}${login}${headersOf(random)}\r\n${body}`;
}

function mutate(random: Random, text: string): string {
  const characters = [...text];
  for (let count = 1 + random.below(6); count > 0; count--) {
    const position = random.below(characters.length + 1);
    const character = String.fromCharCode(random.below(256));
    random.pick([
      () => characters.splice(position, 1),
      () => characters.splice(position, 0, character),
      () => characters.splice(position, 1, character),
      () => characters.splice(position),
      () => characters.splice(position, 0, ...characters.slice(0, 50)),
    ])();
  }
  return characters.join("");
}

function attemptOf(random: Random): Attempt {
  const authorized = random.chance(0.3);
  const authorization = authorized
    ? RIGHT
    : random.chance(0.7)
    ? authorizationOf(random)
    : undefined;
  const valid = `GET /metrics HTTP/1.1\r\nHost: h\r\n${
    authorization === undefined ? "" : `Authorization: ${authorization}\r\n`
  }\r\n`;
  const text = random.pick([
    () => randomBytes(random, 2_000),
    () => requestOf(random, authorization),
    () => requestOf(random, authorization),
    () => mutate(random, valid),
    () => mutate(random, valid),
    () => mutate(random, requestOf(random, authorization)),
    () => valid.slice(0, random.below(valid.length)),
    () => valid.repeat(1 + random.below(60)),
    () => `GET / HTTP/1.1\r\n${"A: b\r\n".repeat(random.below(4_000))}\r\n`,
    () => `GET / HTTP/1.1\r\nHost: ${"h".repeat(random.below(40_000))}\r\n\r\n`,
    () =>
      `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${randomBytes(random, 500)}`,
    () =>
      `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${valid}`,
  ])();
  return { bytes: latin1(text), authorized, abrupt: random.chance(0.1) };
}

/** Sends something and gives what came back before the connection closed or the patience ended. */
function exchange(port: number, { bytes, abrupt }: Attempt): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let received = "";
    let timer: ReturnType<typeof setTimeout> | undefined;
    const finish = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(received);
    };
    socket.setEncoding("latin1");
    socket.on("error", finish);
    socket.on("close", finish);
    socket.on("data", (chunk: string) => received += chunk);
    socket.on("connect", () => {
      socket.write(bytes, () => {
        if (abrupt) finish();
        else timer = setTimeout(finish, PATIENCE_MILLISECONDS);
      });
    });
  });
}

/** The statuses of all answers, also of those to requests that were sent along. */
function statusesIn(received: string): readonly number[] {
  if (received === "") return [0];
  assert.match(received, /^HTTP\/1\.1 \d{3} /);
  return [...received.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status));
}

function portOf({ target }: ExporterProcess): number {
  return Number(target.split(":")[1]);
}

function residentBytes({ processId }: ExporterProcess): number {
  const status = Deno.readTextFileSync(`/proc/${processId}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024;
}

function countDescriptors({ processId }: ExporterProcess): number {
  return [...Deno.readDirSync(`/proc/${processId}/fd`)].length;
}

async function probe(exporter: ExporterProcess): Promise<void> {
  const response = await fetch(`http://${exporter.target}/metrics`, {
    headers: { authorization: RIGHT, connection: "close" },
  });
  assert.equal(response.status, 200);
  assert.ok(parsePage(await response.text()).has("libvirt_nova_up"));
}

Deno.test(`${REQUESTS} malformed requests (seed ${SEED}) neither end the exporter nor get past its login`, async () => {
  const configFile = await Deno.makeTempFile();
  await Deno.writeTextFile(configFile, CONFIG);
  try {
    await using exporter = await startExporterProcess("test:///default", [
      "--web.config.file",
      configFile,
      "--log.level",
      "info",
    ]);
    const port = portOf(exporter);
    const random = createRandom(SEED);
    await probe(exporter);
    const before = { bytes: residentBytes(exporter), descriptors: countDescriptors(exporter) };
    let sent = 0;
    const statuses = new Map<number, number>();
    const client = async (): Promise<void> => {
      while (sent < REQUESTS) {
        sent++;
        if (sent % PROBE_EVERY === 0) await probe(exporter);
        const attempt = attemptOf(random);
        const received = await exchange(port, attempt);
        for (const status of statusesIn(received)) {
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
          const isAllowed = ALLOWED_STATUSES.has(status) ||
            (attempt.authorized && AUTHORIZED_STATUSES.has(status));
          const start = String.fromCharCode(...attempt.bytes.slice(0, 500));
          assert.ok(isAllowed, `${status} for ${JSON.stringify(start)}`);
        }
        assert.ok(!received.includes("    at "), received);
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    await probe(exporter);
    await waitUntil(
      "the connections to be closed",
      () => countDescriptors(exporter) <= before.descriptors + 3 ? true : undefined,
      20_000,
    );
    const grown = residentBytes(exporter) - before.bytes;
    assert.ok(grown < MEMORY_BYTES, `It takes ${grown} bytes more than before`);
    assert.ok((statuses.get(401) ?? 0) > REQUESTS / 50, JSON.stringify([...statuses]));
    const lines = exporter.logLines();
    for (const line of lines) assert.match(line, /^time=\S+ level=(?:info|warn) /);
    assert.ok(lines.length < 20, lines.join("\n"));
    assert.equal(await exporter.stop(), 0);
    if (Deno.env.has("HTTP_FUZZ_REQUESTS")) {
      reportProgress(JSON.stringify({ sent, grown, lines: lines.length, statuses: [...statuses] }));
    }
  } finally {
    await Deno.remove(configFile);
  }
});
