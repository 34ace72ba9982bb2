// The executable as an operator meets it: its command line, its pages, its log and its end, against libvirt's test
// driver. It is built by `npm run build`.
import assert from "node:assert/strict";
import { lchown } from "node:fs/promises";
import { seed } from "../src/metrics/collectors/seed.ts";
import { deployedEnvironment } from "./support/deployed_environment.ts";
import {
  assertNothingRuns,
  createTestFolder,
  EXECUTABLE,
  type Families,
  requireExecutable,
  runExecutable,
  type ServingExecutable,
  startExecutable,
  type TestFolder,
} from "./support/executable.ts";
import { novaDomainXml, numberedUuid, testDriverFile } from "./support/nova_domain.ts";
import { type ParsedSample, parsePage } from "./support/parse_page.ts";
import { type Client, eventually, openClient } from "./web_client.ts";

requireExecutable();

const ROOT = decodeURIComponent(new URL("..", import.meta.url).pathname);
const DEMO_FILE = `${ROOT}contrib/demo/hypervisor.xml`;
const DEMO = `test://${encodeURI(DEMO_FILE)}`;
const DEFAULT = "test:///default";
const UNREACHABLE = "qemu+unix:///system?socket=/nonexistent/sock";

/** The families that both predecessors together have, by what labels them besides the instance. */
const SEED_FAMILIES = {
  instance: ["cpu_time_total", "vcpu_count", "total_vcpu"],
  balloon: ["memory_alloc_kb", "memory_cache_used_kb", "memory_used_kb"],
  interface: ["rxbytes", "txbytes"],
  disk: ["rdbytes", "wrbytes", "rdreq", "wrreq"],
} as const;

function assertOneLine(text: string, ...parts: readonly (string | RegExp)[]): void {
  assert.match(text, /^[^\n]+\n$/, "exactly one line");
  for (const part of parts) {
    assert.ok(typeof part === "string" ? text.includes(part) : part.test(text), `${part}: ${text}`);
  }
}

/** Where code was or went is for developers and attackers, neither of whom reads this. */
function assertNoStackTrace(text: string): void {
  assert.doesNotMatch(text, /^\s+at |\$bunfs|\.[jt]s:\d+|node:internal/m);
}

function countLines(text: string, part: string): number {
  return text.split("\n").filter((line) => line.includes(part)).length;
}

function samplesOf(families: Families, family: string): readonly ParsedSample[] {
  return families.get(`libvirt_nova_instance_${family}`)?.samples ?? [];
}

function valueOf(families: Families, family: string): number | undefined {
  return families.get(family)?.samples[0]?.value;
}

/** What instances are called: `libvirtname`, `novaname`, `novaproject`. */
function identities(families: Families): readonly (readonly (string | undefined)[])[] {
  return samplesOf(families, "cpu_time_total")
    .map(({ labels }) => [labels["libvirtname"], labels["novaname"], labels["novaproject"]])
    .sort();
}

/** The values of a label, in order. */
function labelValues(samples: readonly ParsedSample[], label: string): readonly string[] {
  return samples.map(({ labels }) => labels[label] ?? "(none)").sort();
}

/** All that the page says of instances, without the values. */
function seriesOf(families: Families): readonly string[] {
  return [...families.values()].filter(({ name }) => name.startsWith("libvirt_nova_instance_"))
    .flatMap(({ samples }) =>
      samples.map(({ name, labels }) => `${name} ${JSON.stringify(labels)}`)
    )
    .sort();
}

async function writeHypervisor(
  folder: TestFolder,
  domains: readonly string[],
): Promise<string> {
  return `test://${await folder.write("hypervisor.xml", testDriverFile(domains))}`;
}

function numberedDomains(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) =>
    novaDomainXml({
      name: `instance-${index}`,
      uuid: numberedUuid(index),
      novaName: `web-${index}`,
      disks: [{ target: "vda" }],
      interfaces: [{ target: `tap${index}`, macAddress: "fa:16:3e:00:00:01" }],
    }));
}

/** A command that finds no usable client library of libvirt. */
async function withoutClientLibrary(folder: TestFolder): Promise<Readonly<Record<string, string>>> {
  await folder.write("libvirt.so.0", "not a library\n");
  return { LD_LIBRARY_PATH: folder.path };
}

/** A daemon that takes connections, counts them, and says nothing. */
function startSilentDaemon(
  folder: TestFolder,
): Disposable & { readonly uri: string; connections(): number } {
  const path = `${folder.path}/silent`;
  const listener = Deno.listen({ transport: "unix", path });
  const connections: Deno.Conn[] = [];
  (async (): Promise<void> => {
    for await (const connection of listener) connections.push(connection);
  })().catch(() => {});
  return {
    uri: `qemu+unix:///system?socket=${path}`,
    connections: () => connections.length,
    [Symbol.dispose](): void {
      listener.close();
      for (const connection of connections) connection.close();
    },
  };
}

/** Asks for a page and waits until the exporter is at it. */
async function beginScrape(port: number): Promise<Client> {
  const client = await openClient(port);
  client.send("GET /metrics HTTP/1.1\r\nHost: exporter\r\n\r\n");
  const later = await openClient(port);
  later.send("GET /other HTTP/1.1\r\nHost: exporter\r\n\r\n");
  assert.equal((await later.receive(1)).answers[0]?.status, 404);
  later.close();
  return client;
}

/** Says whether a command exists and ends with 0. */
async function succeeds(program: string, ...args: readonly string[]): Promise<boolean> {
  const command = new Deno.Command(program, { args: [...args], stdout: "null", stderr: "null" });
  return await command.output().then(({ success }) => success, () => false);
}

/** Its log cannot be written: it says so and why, once, then logs to standard error and serves on. */
async function assertServesWithoutLog(exporter: ServingExecutable, reason: RegExp): Promise<void> {
  for (let scrape = 0; scrape < 3; scrape++) {
    assert.equal(valueOf(await exporter.scrape(), "libvirt_nova_up"), 1);
  }
  const { code, errorOutput } = await exporter.stop();
  assert.equal(code, 0);
  assert.equal(countLines(errorOutput, "Cannot write the log file"), 1, errorOutput);
  assert.match(errorOutput, reason);
  assert.match(errorOutput, /message=Started/);
  assertNoStackTrace(errorOutput);
}

function hasIpv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

function freePort(): number {
  const listener = Deno.listen({ hostname: "0.0.0.0", port: 0 });
  listener.close();
  return listener.addr.port;
}

Deno.test("a missing executable is reported with the command that builds it", () => {
  assert.throws(() => requireExecutable("/nonexistent/exporter"), /: run npm run build$/);
});

Deno.test("help and version need neither libvirt nor a temporary folder", async () => {
  await using folder = await createTestFolder();
  const environment = { ...await withoutClientLibrary(folder), TMPDIR: "/nonexistent" };
  const cases = [["--help", /^Usage: /], ["-h", /^Usage: /], [
    "--version",
    /^libvirt_nova_exporter \d+\.\d+\.\d+ \(.*\)\n$/,
  ]] as const;
  for (const [flag, expected] of cases) {
    const { code, output, errorOutput } = await runExecutable([flag], { folder, environment });
    assert.match(output, expected);
    assert.deepEqual([code, errorOutput], [0, ""], flag);
  }
});

// The settings are those of a JavaScript engine that takes no other than it knows, and may forget one with any release.
Deno.test("it starts with the settings of the engine that its unit and its images give it", async () => {
  await using folder = await createTestFolder();
  const settings = Object.entries(deployedEnvironment())
    .filter(([name]) => name.startsWith("BUN_"));
  assert.notDeepEqual(settings, []);
  const files = ["Dockerfile.alpine", "Dockerfile.debian", "contrib/containers/Dockerfile.kolla"];
  for (const file of files) {
    const text = await Deno.readTextFile(`${ROOT}${file}`);
    const given = Array.from(
      text.matchAll(/^(?:ENV| {3}) (BUN_\w+)=(\S+)/gm),
      (match) => match.slice(1),
    );
    assert.deepEqual(given, settings, file);
  }
  const { code, errorOutput } = await runExecutable(["--version"], {
    folder,
    environment: Object.fromEntries(settings),
  });
  assert.deepEqual([code, errorOutput], [0, ""]);
});

Deno.test("without libvirt's client library one line names the packages to install", async () => {
  await using folder = await createTestFolder();
  const environment = await withoutClientLibrary(folder);
  for (const args of [["--once"], ["--web.listen-address", "127.0.0.1:0", "--log", "-"]]) {
    const outcome = await runExecutable([...args, "--uri", DEFAULT], { folder, environment });
    assert.deepEqual([outcome.code, outcome.output], [1, ""]);
    const packages = [/"libvirt0" \(Debian/, /"libvirt-libs" \(RHEL.*Alpine\)/];
    assertOneLine(outcome.errorOutput, "libvirt.so.0", ...packages);
  }
});

Deno.test("without a writable temporary folder one line says what to set", async () => {
  await using folder = await createTestFolder();
  const environment = { TMPDIR: "/nonexistent" };
  for (const args of [["--once"], ["--web.listen-address", "127.0.0.1:0", "--log", "-"]]) {
    const outcome = await runExecutable([...args, "--uri", DEFAULT], { folder, environment });
    assert.deepEqual([outcome.code, outcome.output], [1, ""]);
    assertOneLine(outcome.errorOutput, `"/nonexistent"`, "set TMPDIR");
    assert.ok(outcome.errorOutput.length < 500, outcome.errorOutput);
  }
});

Deno.test("a wrong command line ends with 2 and one line that names flag, value and remedy", async () => {
  await using folder = await createTestFolder();
  const cases: readonly (readonly [args: readonly string[], parts: readonly string[]])[] = [
    [["--prot", "9100"], [`"--prot"`, "try --port"]],
    [["-port", "9100"], [`"-port"`, "try --port"]],
    [["--port", "0"], ["--port", `"0"`, "from 1 to 65535"]],
    [["--port", "70000"], ["--port", `"70000"`, "from 1 to 65535"]],
    [["--port=abc"], ["--port", `"abc"`, "from 1 to 65535"]],
    [["--port"], ["--port", "Missing value", "--port VALUE"]],
    [["--port", "--once"], ["--port", "Missing value", "--port VALUE"]],
    [["--path", "metrics"], ["--path", `"metrics"`, "such as /metrics"]],
    [["--web.telemetry-path", "metrics"], ["--web.telemetry-path", `"metrics"`, "/metrics"]],
    [["--path=/a", "--web.telemetry-path=/b"], ["--path", `"/a"`, `"/b"`, "give one"]],
    [["--web.listen-address", "localhost"], ["--web.listen-address", `"localhost"`, ":9100"]],
    [["--uri", "qemu"], ["--uri", `"qemu"`, "qemu:///system"]],
    [["--uri", ""], ["--uri", `""`, "qemu:///system"]],
    [["--libvirt.timeout", "5x"], ["--libvirt.timeout", `"5x"`, "such as 500ms"]],
    [["--libvirt.timeout", "1ms"], ["--libvirt.timeout", `"1ms"`, "from 50ms to 10m"]],
    [["--log.level", "loud"], ["--log.level", `"loud"`, "debug, info, warn, error"]],
    [["--log.format", "xml"], ["--log.format", `"xml"`, "logfmt, json"]],
    [["--once=yes"], ["--once", "takes no value"]],
    [["9100"], [`"9100"`, "as a flag"]],
    [["--", "9100"], [`"9100"`, "as a flag"]],
    [["--port", "1\n2"], ["--port", `"1\\n2"`]],
  ];
  for (const [args, parts] of cases) {
    const { code, output, errorOutput } = await runExecutable(args, { folder });
    assert.deepEqual([code, output], [2, ""], args.join(" "));
    assertOneLine(errorOutput, /^libvirt_nova_exporter: .*; see --help$/m, ...parts);
  }
  assert.equal(await folder.has("libvirt_nova.log"), false, "no log for a wrong command line");
});

Deno.test("a standard error that cannot be written does not change the exit code", async () => {
  await using folder = await createTestFolder();
  const through = ["sh", "-c", 'exec "$0" "$@" 2> /dev/full'];
  const { code, output } = await runExecutable(["--port", "0"], { folder, through });
  assert.deepEqual([code, output], [2, ""]);
});

Deno.test("a password in the URI is shown nowhere", async () => {
  await using folder = await createTestFolder();
  const uri = "qemu+tcp://user:sesame@127.0.0.1:1/system";
  const wrong = await runExecutable(["--uri", `${uri}#`], { folder });
  assertOneLine(wrong.errorOutput, ":***@127.0.0.1");
  await using exporter = await startExecutable(["--uri", uri, "--log", "-"], { folder });
  const { body } = await exporter.get("/metrics");
  const { errorOutput } = await exporter.stop();
  assert.match(errorOutput, /user:\*\*\*@/);
  assert.doesNotMatch(`${wrong.errorOutput}${errorOutput}${body}`, /sesame/);
});

Deno.test("a password that ssh repeats in its complaints is shown nowhere", async () => {
  await using folder = await createTestFolder();
  // ssh gets the user and the password as the name to log in with, and says so when it is refused.
  const ssh = await folder.write("ssh", '#!/bin/sh\necho "$2@127.0.0.1: denied" >&2\nexit 255\n');
  await Deno.chmod(ssh, 0o755);
  const uri = `qemu+ssh://user:sesame@127.0.0.1/system?command=${ssh}`;
  const target = ["--probe.target", `other=${uri}&x=1`];
  const args = ["--uri", uri, ...target, "--log", "-", "--log.level", "debug"];
  await using exporter = await startExecutable(args, { folder });
  await eventually(
    "ssh has complained",
    async () => (await exporter.get("/-/ready")).body.includes("user:***@127.0.0.1: denied"),
  );
  const paths = ["/", "/metrics", "/-/ready", "/probe?target=other", "/probe?target=qemu"];
  const pages = await Promise.all(paths.map((path) => exporter.get(path)));
  assert.match(pages[0]?.body ?? "", /user:\*\*\*@127\.0\.0\.1: denied/);
  const { errorOutput } = await exporter.stop();
  assert.match(errorOutput, /user:\*\*\*@127\.0\.0\.1: denied/);
  const all = [
    errorOutput,
    ...pages.map(({ body, headers }) => body + JSON.stringify([...headers])),
  ];
  assert.doesNotMatch(all.join("\n"), /sesame/);
  const once = await runExecutable(["--once", "--format", "table", "--uri", uri], { folder });
  assert.doesNotMatch(`${once.output}${once.errorOutput}`, /sesame/);
});

Deno.test("a port in use ends it with one line that names the address and suggests another", async () => {
  await using folder = await createTestFolder();
  using occupant = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = occupant.addr;
  const cases = [
    [["--port", `${port}`], `"*:${port}"`],
    [["--web.listen-address", `127.0.0.1:${port}`], `"127.0.0.1:${port}"`],
    [
      ["--web.listen-address", "127.0.0.1:0", "--web.listen-address", `127.0.0.1:${port}`],
      `"127.0.0.1:${port}"`,
    ],
  ] as const;
  for (const [args, address] of cases) {
    const outcome = await runExecutable([...args, "--uri", DEFAULT, "--log", "-"], { folder });
    assert.deepEqual([outcome.code, outcome.output], [1, ""]);
    assertOneLine(outcome.errorOutput, address, "in use", "--port");
  }
});

Deno.test("--once prints a valid page and ends with 0 when libvirt answers", async () => {
  await using folder = await createTestFolder();
  for (const uri of [DEFAULT, DEMO]) {
    const { code, output, errorOutput } = await runExecutable(["--once", "--uri", uri], { folder });
    assert.deepEqual([code, errorOutput], [0, ""]);
    const families = parsePage(output);
    assert.equal(valueOf(families, "libvirt_nova_up"), 1);
    assert.ok(samplesOf(families, "cpu_time_total").length > 0);
  }
  assert.equal(await folder.has("libvirt_nova.log"), false, "nothing but the page");
});

// On a developer's machine Prometheus may be missing; continuous integration installs it.
if (Deno.env.get("CI") === "true" || await succeeds("promtool", "--version")) {
  Deno.test("promtool finds nothing on the page but the names that the predecessors chose", async () => {
    await using folder = await createTestFolder();
    const { output } = await runExecutable(["--once", "--uri", DEMO], { folder });
    const promtool = new Deno.Command("promtool", {
      args: ["check", "metrics"],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    await new Blob([output]).stream().pipeTo(promtool.stdin);
    const { stdout, stderr } = await promtool.output();
    const decoder = new TextDecoder();
    const advice = `${decoder.decode(stdout)}${decoder.decode(stderr)}`.trim().split("\n");
    const named = (families: readonly string[], text: string): readonly string[] =>
      families.map((family) => `libvirt_nova_instance_${family} ${text}`);
    const counters = [...SEED_FAMILIES.interface, ...SEED_FAMILIES.disk];
    assert.deepEqual(
      advice.sort(),
      [
        ...named(SEED_FAMILIES.balloon, "metric names should not contain abbreviated units"),
        ...named(counters, 'counter metrics should have "_total" suffix'),
        ...named(
          ["vcpu_count"],
          'non-histogram and non-summary metrics should not have "_count" suffix',
        ),
      ].sort(),
    );
  });
}

Deno.test("--once prints a page that says so and ends with 1 when libvirt does not answer", async () => {
  await using folder = await createTestFolder();
  const cases = [
    ["test:///nonexistent.xml", "/nonexistent.xml"],
    [UNREACHABLE, "start libvirtd or virtqemud"],
    [`test://${await folder.write("broken.xml", "<node><domain></node>")}`, "broken.xml"],
  ] as const;
  for (const [uri, reason] of cases) {
    const { code, output, errorOutput } = await runExecutable(["--once", "--uri", uri], { folder });
    assert.equal(code, 1, uri);
    const families = parsePage(output);
    assert.equal(valueOf(families, "libvirt_nova_up"), 0);
    assert.deepEqual(seriesOf(families), []);
    // libxml2 may have its own say before, about files only.
    assertOneLine(`${errorOutput.trimEnd().split("\n").at(-1)}\n`, "level=error", reason);
    assertNoStackTrace(errorOutput);
  }
});

Deno.test("a file of the test driver that cannot be read is one line with its name", async () => {
  await using folder = await createTestFolder();
  for (const file of [`${folder.path}/missing.xml`, folder.path]) {
    const { code, errorOutput } = await runExecutable(["--once", "--uri", `test://${file}`], {
      folder,
    });
    assert.equal(code, 1);
    assertOneLine(errorOutput, file, /name another file in --uri/);
    assertNoStackTrace(errorOutput);
  }
});

Deno.test("--once ends without noise when its reader goes, and with one line when the disk is full", async () => {
  await using folder = await createTestFolder();
  // More than a pipe holds, so that writing does fail.
  const uri = await writeHypervisor(folder, numberedDomains(100));
  const args = ["--once", "--uri", uri];
  const intoHead = 'exec 3>&1; { "$0" "$@"; echo "code $?" >&3; } | head -n 1';
  const cut = await runExecutable(args, { folder, through: ["sh", "-c", intoHead] });
  assert.deepEqual(cut.output.split("\n").sort(), [
    "",
    "# HELP libvirt_nova_instance_cpu_time_total instance vcpu time",
    "code 0",
  ]);
  assert.deepEqual([cut.code, cut.errorOutput], [0, ""]);
  for (const program of [args, ["--help"], ["--version"]]) {
    const through = ["sh", "-c", 'exec "$0" "$@" > /dev/full'];
    const full = await runExecutable(program, { folder, through });
    assert.equal(full.code, 1);
    assertOneLine(full.errorOutput, "Cannot write to standard output");
  }
});

Deno.test("every answer has its status, and none a stack trace", async () => {
  await using folder = await createTestFolder();
  await using exporter = await startExecutable(["--uri", DEFAULT, "--log", "-"], { folder });
  const cases: readonly (readonly [method: string, path: string, status: number])[] = [
    ["GET", "/metrics", 200],
    ["GET", "/metrics?collect[]=seed&x=%zz", 200],
    ["HEAD", "/metrics", 200],
    ["GET", "/nowhere", 404],
    ["GET", "/metrics/", 404],
    ["GET", "/Metrics", 404],
    ["GET", "/metrics%00", 404],
    ["POST", "/nowhere", 404],
    ["GET", "/%zz", 400],
    ["POST", "/metrics", 405],
    ["PUT", "/metrics", 405],
    ["DELETE", "/metrics", 405],
    ["OPTIONS", "/metrics", 405],
    ["GET", `/${"a".repeat(10_000)}`, 414],
  ];
  for (const [method, path, status] of cases) {
    const { headers, body, ...answer } = await exporter.get(path, { method });
    assert.equal(answer.status, status, `${method} ${path}`);
    assertNoStackTrace(body);
    const type = status === 200 ? "text/plain; version=0.0.4; charset=utf-8" : /^text\/plain\b/;
    if (typeof type === "string") assert.equal(headers.get("content-type"), type);
    else assert.match(headers.get("content-type") ?? "", type);
    assert.equal(headers.get("allow"), status === 405 ? "GET, HEAD" : null);
    if (method === "HEAD") {
      assert.ok(Number(headers.get("content-length")) > 0);
      assert.equal(body, "");
    } else if (status === 200) {
      assert.equal(valueOf(parsePage(body), "libvirt_nova_up"), 1);
    } else assert.match(body, /^[^\n]+\n$/, "an error is one line");
  }
});

Deno.test("malformed HTTP is answered 400 and costs nobody else anything", async () => {
  await using folder = await createTestFolder();
  await using exporter = await startExecutable(["--uri", DEFAULT, "--log", "-"], { folder });
  const cases = [
    "garbage\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01",
    "GET /metrics\r\n\r\n",
    "GET /metrics HTTP/9.9\r\n\r\n",
    "GET /metrics HTTP/1.1\r\n\r\n",
    "GET /met rics HTTP/1.1\r\nHost: exporter\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nHost: exporter\r\nA B: c\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nHost: exporter\r\nContent-Length: -1\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nHost: exporter\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  ];
  for (const request of cases) {
    const client = await openClient(exporter.ports[0] ?? 0);
    client.send(request);
    const { answers, closed } = await client.receiveUntilClosed();
    assert.deepEqual([answers.map(({ status }) => status), closed], [[400], true], request);
    assertNoStackTrace(answers[0]?.body ?? "");
  }
  assert.equal(valueOf(await exporter.scrape(), "libvirt_nova_up"), 1);
  const { errorOutput } = await exporter.stop();
  assert.doesNotMatch(errorOutput, /level=(warn|error)/);
});

Deno.test("a request chooses among the targets to probe by their names, and gives no URI", async () => {
  await using folder = await createTestFolder();
  using daemon = startSilentDaemon(folder);
  const args = ["--uri", DEFAULT, "--log", "-", "--libvirt.timeout", "50ms"];
  const target = ["--probe.target", `allowed=${daemon.uri}`];
  await using exporter = await startExecutable([...args, ...target], { folder });
  const uri = encodeURIComponent(daemon.uri);
  for (
    const query of [
      "",
      `target=${uri}`,
      `target=${daemon.uri}`,
      `target=allowed&target=${uri}`,
      `target=${uri}&target=allowed`,
      `target=allowed%3D${uri}`,
      `target=allowed%00`,
      `target=ALLOWED`,
      `target=constructor`,
      `uri=${uri}`,
      `target=test%3A%2F%2F%2Fdefault`,
    ]
  ) {
    const { status, body } = await exporter.get(`/probe?${query}`);
    assert.equal(status, 400, query);
    assert.match(body, /: \/probe\?target= with one of allowed\n$/);
  }
  await exporter.get(`/metrics?target=${uri}&uri=${uri}`);
  assert.equal(daemon.connections(), 0);
  const { status, body } = await exporter.get(
    `/probe?target=allowed&uri=${encodeURIComponent(DEFAULT)}`,
  );
  assert.deepEqual([status, valueOf(parsePage(body), "libvirt_nova_up")], [200, 0]);
  await eventually("the target is asked", () => Promise.resolve(daemon.connections() > 0));
});

Deno.test("nothing of a request is in the head of its answer or in the log, and nothing that a terminal obeys in its body", async () => {
  await using folder = await createTestFolder();
  const args = ["--uri", DEFAULT, "--log", "-", "--log.level", "debug", "--path", "/m"];
  await using exporter = await startExecutable(
    [...args, "--probe.target", "other=test:///default"],
    {
      folder,
    },
  );
  const evil = [
    "%0d%0aX-Evil:%201%0d%0a%0d%0aevil",
    "%1b[31mevil%07",
    "%c2%9b31mevil",
    "%e2%80%a8evil%e2%80%ae",
  ];
  const requests = evil.flatMap((text) => [
    `GET /${text} HTTP/1.1\r\nHost: h`,
    `GET /m?collect[]=${text} HTTP/1.1\r\nHost: h`,
    `GET /m?${text} HTTP/1.1\r\nHost: h`,
    `GET /probe?target=${text} HTTP/1.1\r\nHost: h`,
    `GET http://${text}/nowhere HTTP/1.1\r\nHost: h`,
    `GET / HTTP/1.1\r\nHost: ${decodeURIComponent(text).replaceAll(/[^ -~]/g, "")}`,
    `GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: evil\r\nX-Request-Id: evil\r\nOrigin: http://evil`,
    `TRACE /m HTTP/1.1\r\nHost: evil\r\nCookie: evil`,
    `OPTIONS /m HTTP/1.1\r\nHost: h\r\nOrigin: http://evil\r\nAccess-Control-Request-Method: PUT`,
    `GET /m HTTP/1.1\r\nHost: h\r\nAccept: evil/evil, application/openmetrics-text;version=evil`,
  ]);
  for (const request of requests) {
    const client = await openClient(exporter.ports[0] ?? 0);
    client.send(`${request}\r\nConnection: close\r\n\r\n`);
    const { answers } = await client.receiveUntilClosed();
    assert.equal(answers.length, 1, request);
    const { headers, body } = answers[0] ?? { headers: new Map(), body: "" };
    assert.doesNotMatch(JSON.stringify([...headers]), /evil/i, request);
    assert.equal(headers.get("access-control-allow-origin"), undefined);
    assert.doesNotMatch(
      new TextDecoder().decode(Uint8Array.from(body, (byte) => byte.charCodeAt(0))),
      /[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/u,
      request,
    );
  }
  const { errorOutput } = await exporter.stop();
  assert.doesNotMatch(errorOutput, /evil|level=(?:warn|error)/);
  for (const line of errorOutput.trimEnd().split("\n")) {
    assert.match(line, /^time=\S+ level=\w+ message=/);
  }
});

Deno.test("it listens on every address that was given, and serves the path that was given", async () => {
  await using folder = await createTestFolder();
  const hosts = ["127.0.0.1", "localhost", ...(hasIpv6() ? ["[::1]"] : [])];
  for (const flag of ["--path", "--web.telemetry-path"]) {
    const listen = hosts.flatMap((host) => ["--web.listen-address", `${host}:0`]);
    const args = ["--uri", DEFAULT, "--log", "-", flag, "/über/all", ...listen];
    await using exporter = await startExecutable(args, { folder });
    await eventually(
      "it says where",
      () => Promise.resolve(/Started/.test(exporter.errorOutput())),
    );
    const [, addresses = ""] = /addresses="([^"]+)"/.exec(exporter.errorOutput()) ?? [];
    const bound = addresses.split(", ").map((one) => one.split(" port "));
    assert.equal(bound.length, hosts.length);
    for (const [host = "", port] of bound) {
      const at = `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
      for (const [path, status] of [["/%C3%BCber/all", 200], ["/metrics", 404]] as const) {
        const response = await fetch(`${at}${path}`);
        await response.body?.cancel();
        assert.equal(response.status, status, `${at}${path}`);
      }
    }
  }
});

Deno.test("--port listens on all addresses", async () => {
  await using folder = await createTestFolder();
  const port = freePort();
  const args = ["--uri", DEFAULT, "--log", "-", "--port", `${port}`];
  await using exporter = await startExecutable(args, { folder });
  assert.deepEqual(exporter.ports, [port]);
  for (const host of ["127.0.0.1", "127.0.0.2", ...(hasIpv6() ? ["[::1]"] : [])]) {
    const response = await fetch(`http://${host}:${port}/metrics`);
    parsePage(await response.text());
    assert.equal(response.status, 200, host);
  }
});

Deno.test("Prometheus' timeout is heeded, and garbage in its header is not", async () => {
  await using folder = await createTestFolder();
  using daemon = startSilentDaemon(folder);
  const args = ["--uri", daemon.uri, "--log", "-", "--libvirt.timeout", "10m"];
  await using patient = await startExecutable(args, { folder });
  const headers = (seconds: string): RequestInit => ({
    headers: { "X-Prometheus-Scrape-Timeout-Seconds": seconds },
  });
  const { status, body } = await patient.get("/metrics", headers("0.2"));
  assert.deepEqual([status, valueOf(parsePage(body), "libvirt_nova_up")], [200, 0]);
  await using exporter = await startExecutable(["--uri", DEFAULT, "--log", "-"], { folder });
  for (const value of ["10", "0", "-1", "abc", "NaN", "1e5", "", "9".repeat(300), "1, 2"]) {
    const page = await exporter.get("/metrics", headers(value));
    assert.deepEqual([page.status, valueOf(parsePage(page.body), "libvirt_nova_up")], [200, 1]);
  }
});

Deno.test("the demo has all families with the instances, disks and interfaces of its file", async () => {
  await using folder = await createTestFolder();
  await using exporter = await startExecutable(["--uri", DEMO, "--log", "-"], { folder });
  const families = await exporter.scrape();
  const file = await Deno.readTextFile(DEMO_FILE);
  const inFile = (pattern: RegExp): readonly string[] =>
    [...file.matchAll(pattern)].map(([, text = ""]) => text).sort();

  const names = inFile(/<name>([^<]+)<\/name>/g);
  assert.equal(names.length, 13);
  assert.deepEqual(
    identities(families).map(([, novaname]) => novaname).sort(),
    ["", ...inFile(/<nova:name>([^<]+)<\/nova:name>/g)].sort(),
  );
  assert.deepEqual(
    identities(families).filter(([, novaname, novaproject]) => novaname === "" || !novaproject),
    [["backup-appliance", "", ""]],
  );
  const novaNames = new Set(identities(families).map(([, novaname]) => novaname));
  for (const name of [`Bob's "scratch" box`, "gpu-notebook-α"]) assert.ok(novaNames.has(name));

  const balloons = names.filter((name) => name !== "backup-appliance");
  const addresses = inFile(/<mac address="([^"]+)"/g);
  const targets = inFile(/<target dev="(vd[a-z])"/g);
  const serials = inFile(/<serial>([^<]+)<\/serial>/g);
  for (const family of SEED_FAMILIES.instance) {
    assert.deepEqual(labelValues(samplesOf(families, family), "libvirtname"), names, family);
  }
  for (const family of SEED_FAMILIES.balloon) {
    assert.deepEqual(labelValues(samplesOf(families, family), "libvirtname"), balloons, family);
  }
  for (const family of SEED_FAMILIES.interface) {
    assert.deepEqual(labelValues(samplesOf(families, family), "macaddr"), addresses, family);
  }
  for (const family of SEED_FAMILIES.disk) {
    const samples = samplesOf(families, family);
    assert.deepEqual(labelValues(samples, "targetdev"), targets, family);
    const volumes = labelValues(samples, "cindervolume").filter((serial) => serial !== "");
    assert.deepEqual(volumes, serials, family);
  }
  for (const family of Object.values(SEED_FAMILIES).flat()) {
    for (const { name, value } of samplesOf(families, family)) assert.ok(value > 0, name);
  }
  const vcpus = samplesOf(families, "vcpu_count").map(({ value }) => value);
  assert.deepEqual(vcpus.map(String).sort(), inFile(/<vcpu>(\d+)<\/vcpu>/g));
});

Deno.test("an empty hypervisor is up and has every family without a sample", async () => {
  await using folder = await createTestFolder();
  await folder.write("hypervisor.xml", "<node/>");
  const args = ["--once", "--uri", `test://${folder.path}/hypervisor.xml`];
  const { code, output, errorOutput } = await runExecutable(args, { folder });
  const families = parsePage(output);
  assert.deepEqual([code, errorOutput], [0, ""]);
  assert.equal(valueOf(families, "libvirt_nova_up"), 1);
  assert.equal(valueOf(families, "libvirt_nova_exporter_instances"), 0);
  assert.deepEqual(seriesOf(families), []);
});

Deno.test("a hypervisor of 2,000 instances is on the page in full", async () => {
  await using folder = await createTestFolder();
  const uri = await writeHypervisor(folder, numberedDomains(2_000));
  const args = ["--once", "--uri", uri, "--libvirt.timeout", "30s"];
  const { code, output, errorOutput } = await runExecutable(args, { folder });
  const families = parsePage(output);
  assert.deepEqual([code, errorOutput], [0, ""]);
  const expected = Array.from(
    { length: 2_000 },
    (_, index) => [`instance-${index}`, `web-${index}`, "demo"],
  ).sort();
  assert.deepEqual(identities(families), expected);
  for (const family of Object.values(SEED_FAMILIES).flat()) {
    assert.equal(samplesOf(families, family).length, 2_000, family);
  }
});

Deno.test("hostile names reach the page whole, and no series but their own", async () => {
  await using folder = await createTestFolder();
  const texts = [
    `"quoted" 'twice'`,
    "back\\slash\\",
    "\\n is no line feed",
    "line\nfeed",
    "tab\there",
    "emoji 😀 👩‍💻",
    "<&> ]]> <!-- -->",
    '"} 1\nlibvirt_nova_up{x="',
    "\u202egnitirw",
    "# HELP",
    "é".repeat(2_000),
  ];
  const domains = texts.map((text, index) =>
    novaDomainXml({
      name: text.replaceAll("\n", "LINE FEED"),
      uuid: numberedUuid(index),
      novaName: text.replaceAll("\n", "LINE FEED"),
      novaProject: text.replaceAll("\n", "LINE FEED"),
    }).replaceAll("LINE FEED", "&#10;")
  );
  const uri = await writeHypervisor(folder, domains);
  const { code, output } = await runExecutable(["--once", "--uri", uri], { folder });
  assert.equal(code, 0);
  assert.deepEqual(identities(parsePage(output)), texts.map((text) => [text, text, text]).sort());
});

Deno.test("an instance that Nova described twice keeps its libvirt name, and one line says so", async () => {
  await using folder = await createTestFolder();
  const twice = novaDomainXml({ name: "twice", uuid: numberedUuid(1), novaName: "one" })
    .replace(/<nova:name>one<\/nova:name>/, "$&<nova:name>two</nova:name>");
  const once = novaDomainXml({ name: "once", uuid: numberedUuid(2), novaName: "web" });
  const uri = await writeHypervisor(folder, [twice, once]);
  await using exporter = await startExecutable(["--uri", uri, "--log", "-"], { folder });
  for (let scrape = 0; scrape < 3; scrape++) {
    const families = await exporter.scrape();
    assert.deepEqual(identities(families), [["once", "web", "demo"], ["twice", "", ""]]);
    for (const family of [...SEED_FAMILIES.instance, ...SEED_FAMILIES.balloon]) {
      assert.equal(samplesOf(families, family).length, 2, family);
    }
  }
  const { errorOutput } = await exporter.stop();
  assert.equal(countLines(errorOutput, "level=warn"), 1, errorOutput);
  assert.match(errorOutput, /level=warn .*instance=twice .*\\"name\\" twice/);
});

Deno.test("odd devices are on the page as libvirt has them", async () => {
  await using folder = await createTestFolder();
  const cdroms = ["", '<source file="/image.iso"/>'].map((source, index) =>
    `<disk type="file" device="cdrom">${source}<target dev="sd${"ab"[index]}" bus="sata"/></disk>`
  );
  const domain = novaDomainXml({
    name: "odd",
    uuid: numberedUuid(1),
    novaName: "odd",
    disks: [{ target: "vda" }, { target: "vdb", serial: "volume", type: "block" }],
    interfaces: [
      { macAddress: "fa:16:3e:00:00:01" },
      { target: "tap2", macAddress: "fa:16:3e:00:00:02" },
    ],
  }).replace("<memballoon", `${cdroms.join("")}<memballoon`);
  const uri = await writeHypervisor(folder, [domain]);
  const { code, output, errorOutput } = await runExecutable(["--once", "--uri", uri], { folder });
  assert.deepEqual([code, errorOutput], [0, ""]);
  const families = parsePage(output);
  const labels = (family: string, ...names: readonly string[]): readonly string[] =>
    samplesOf(families, family).map((sample) => names.map((name) => sample.labels[name]).join(" "))
      .sort();
  for (const family of SEED_FAMILIES.interface) {
    // The test driver names an interface that has no target device.
    assert.deepEqual(labels(family, "iface", "macaddr"), [
      "tap2 fa:16:3e:00:00:02",
      "testnet0 fa:16:3e:00:00:01",
    ]);
  }
  for (const family of SEED_FAMILIES.disk) {
    assert.deepEqual(labels(family, "targetdev", "cindervolume", "disktype"), [
      "sda  file",
      "sdb  file",
      "vda  file",
      "vdb volume block",
    ]);
  }
});

Deno.test("libvirt that comes late is noticed, and its instances have their names at once", async () => {
  await using folder = await createTestFolder();
  const file = `${folder.path}/late.xml`;
  const args = ["--uri", `test://${file}`, "--log", "exporter.log"];
  await using exporter = await startExecutable(args, { folder });
  assert.equal(valueOf(await exporter.scrape(), "libvirt_nova_up"), 0);
  const whole = await folder.write(
    "whole.xml",
    testDriverFile([novaDomainXml({ name: "late", uuid: numberedUuid(1), novaName: "web" })]),
  );
  await Deno.rename(whole, file);
  const families = await exporter.scrape();
  assert.equal(valueOf(families, "libvirt_nova_up"), 1);
  assert.deepEqual(identities(families), [["late", "web", "demo"]]);
  const { errorOutput } = await exporter.stop();
  assert.equal(countLines(errorOutput, "libvirt is not available yet"), 1, errorOutput);
  const log = await folder.read("exporter.log");
  assert.equal(countLines(log, 'level=error message="libvirt is not available"'), 1, log);
  assert.equal(countLines(log, 'message="Over: libvirt is not available"'), 1, log);
});

Deno.test("the log goes to a file in the working directory by default", async () => {
  await using folder = await createTestFolder();
  await using exporter = await startExecutable(["--uri", DEFAULT], { folder });
  await exporter.scrape();
  const { code, errorOutput } = await exporter.stop();
  assert.deepEqual([code, errorOutput], [0, ""]);
  const { mode, isFile } = await Deno.stat(`${folder.path}/libvirt_nova.log`);
  assert.deepEqual([isFile, (mode ?? 0) & 0o777], [true, 0o666 & ~Deno.umask()]);
  const lines = (await folder.read("libvirt_nova.log")).split("\n");
  const expected = [
    /^time=\S+Z level=info message=Started version=\S+ .*uri=test:\/\/\/default .*path=\/metrics$/,
    /^time=\S+Z level=info message=Stopping reason=SIGTERM$/,
    /^time=\S+Z level=info message=Stopped$/,
    /^$/,
  ];
  assert.equal(lines.length, expected.length, lines.join("\n"));
  expected.forEach((pattern, index) => assert.match(lines[index] ?? "", pattern));
});

Deno.test("--log, --log.format and --log.level decide where lines go, how, and which", async () => {
  await using folder = await createTestFolder();
  const logOf = async (...flags: readonly string[]): Promise<readonly [string, string]> => {
    const args = ["--uri", DEFAULT, ...flags];
    await using exporter = await startExecutable(args, { folder });
    const client = await openClient(exporter.ports[0] ?? 0);
    client.send("garbage\r\n\r\n");
    await client.receiveUntilClosed();
    const { code, errorOutput } = await exporter.stop();
    assert.equal(code, 0);
    const file = await folder.has("file.log") ? await folder.read("file.log") : "";
    if (file !== "") await Deno.remove(`${folder.path}/file.log`);
    return [errorOutput, file];
  };
  const messages = (log: string): readonly unknown[] =>
    log.trimEnd().split("\n").map((line) => {
      const { time, level, message } = JSON.parse(line) as Record<string, string>;
      assert.ok(!Number.isNaN(Date.parse(time ?? "")), line);
      return `${level} ${message}`;
    });

  const [onlyErrorOutput, noFile] = await logOf("--log", "-");
  assert.match(onlyErrorOutput, /message=Started/);
  assert.equal(noFile, "");
  const [noErrorOutput, json] = await logOf("--log", "file.log", "--log.format", "json");
  assert.equal(noErrorOutput, "");
  assert.deepEqual(messages(json), ["info Started", "info Stopping", "info Stopped"]);
  const [talk] = await logOf("--log", "-", "--log.format", "json", "--log.level", "debug");
  assert.ok(messages(talk).includes("debug Refused a request"), talk);
  assert.deepEqual(await logOf("--log", "-", "--log.level", "warn"), ["", ""]);
  assert.equal(await folder.has("libvirt_nova.log"), false);
});

Deno.test("a log that cannot be written is reported once, and the exporter serves on", async () => {
  await using folder = await createTestFolder();
  const cases = [
    ["/nonexistent/folder/file.log", /"its directory does not exist"/],
    [folder.path, /"it is a directory/],
    ["/dev/full", /"no space is left on the device"/],
  ] as const;
  for (const [file, reason] of cases) {
    const args = ["--uri", DEFAULT, "--log", file];
    await using exporter = await startExecutable(args, { folder });
    await assertServesWithoutLog(exporter, reason);
  }
});

Deno.test("a log and a standard error that nobody reads cost lines, and no answer", async () => {
  await using folder = await createTestFolder();
  const fifo = `${folder.path}/fifo`;
  assert.ok(await succeeds("mkfifo", fifo));
  // Open for both, as opening it for one waits for the other.
  using _unread = Deno.openSync(fifo, { read: true, write: true });
  const through = ["sh", "-c", `exec "$0" "$@" 2> ${fifo}`];
  for (const log of ["-", fifo]) {
    const args = ["--uri", DEFAULT, "--log", log, "--log.level", "debug"];
    await using exporter = await startExecutable(args, { folder, through });
    // Each makes a line; a pipe takes 64 KiB.
    for (let request = 0; request < 1_000; request++) {
      const client = await openClient(exporter.ports[0] ?? 0);
      client.send("garbage\r\n\r\n");
      assert.equal((await client.receiveUntilClosed()).answers[0]?.status, 400);
    }
    assert.equal(valueOf(await exporter.scrape(), "libvirt_nova_up"), 1);
    assert.equal((await exporter.stop()).code, 0);
  }
});

Deno.test("SIGHUP opens the log anew after it was moved away", async () => {
  await using folder = await createTestFolder();
  await using exporter = await startExecutable(["--uri", DEFAULT], { folder });
  await Deno.rename(`${folder.path}/libvirt_nova.log`, `${folder.path}/old.log`);
  exporter.signal("SIGHUP");
  await eventually("there is a new log", () => folder.has("libvirt_nova.log"));
  await exporter.scrape();
  assert.equal((await exporter.stop()).code, 0);
  assert.equal(countLines(await folder.read("old.log"), "message="), 1);
  assert.match(await folder.read("old.log"), /message=Started/);
  const log = await folder.read("libvirt_nova.log");
  assert.match(log, /"Reopened the log"\n.*message=Stopping.*\n.*message=Stopped\n$/);
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`${signal} ends it with 0 and nothing left but its unpacked shim`, async () => {
    await using folder = await createTestFolder();
    await using exporter = await startExecutable(["--uri", DEFAULT, "--log", "-"], { folder });
    const idle = await openClient(exporter.ports[0] ?? 0);
    idle.send("GET /metrics HTTP/1.1\r\nHost: exporter\r\n\r\n");
    assert.equal((await idle.receive(1)).answers[0]?.status, 200);
    const halfway = await openClient(exporter.ports[0] ?? 0);
    halfway.send("GET /metrics HTTP/1.1\r\nHost: ");
    exporter.signal(signal);
    const { code, output, errorOutput } = await exporter.ended();
    assert.deepEqual([code, output], [0, ""], errorOutput);
    assert.match(
      errorOutput,
      new RegExp(`message=Stopping reason=${signal}\\n.*message=Stopped\\n$`),
    );
    await idle.receiveUntilClosed();
    await halfway.receiveUntilClosed();
    const left = [...Deno.readDirSync(folder.temporary)].map(({ name }) => name);
    assert.equal(left.length, 1, left.join(" "));
    assert.match(left[0] ?? "", /^\.bun-\d+-[0-9a-f]+\.node$/);
  });

  Deno.test(`${signal} lets a running scrape end`, async () => {
    await using folder = await createTestFolder();
    using daemon = startSilentDaemon(folder);
    const args = ["--uri", daemon.uri, "--log", "-", "--libvirt.timeout", "1s"];
    await using exporter = await startExecutable(args, { folder });
    const client = await beginScrape(exporter.ports[0] ?? 0);
    exporter.signal(signal);
    const { answers, closed } = await client.receiveUntilClosed();
    assert.deepEqual([answers.map(({ status }) => status), closed], [[200], true]);
    assert.equal(valueOf(parsePage(answers[0]?.body ?? ""), "libvirt_nova_up"), 0);
    assert.equal((await exporter.ended()).code, 0);
  });
}

Deno.test("a second SIGINT ends it at once, whatever it waits for", async () => {
  await using folder = await createTestFolder();
  using daemon = startSilentDaemon(folder);
  const args = ["--uri", daemon.uri, "--log", "-", "--libvirt.timeout", "10m"];
  await using exporter = await startExecutable(args, { folder });
  const client = await beginScrape(exporter.ports[0] ?? 0);
  exporter.signal("SIGINT");
  await eventually(
    "it is stopping",
    () => Promise.resolve(/Stopping/.test(exporter.errorOutput())),
  );
  exporter.signal("SIGINT");
  const { code, errorOutput } = await exporter.ended();
  assert.equal(code, 1);
  assert.doesNotMatch(errorOutput, /message=Stopped/);
  client.close();
});

Deno.test("a few file descriptors suffice, and idle clients do not lock out a scrape", async () => {
  await using folder = await createTestFolder();
  const through = ["sh", "-c", 'ulimit -n 64 && exec "$0" "$@"'];
  const args = ["--uri", DEFAULT, "--log", "-"];
  await using exporter = await startExecutable(args, { folder, through });
  const port = exporter.ports[0] ?? 0;
  const clients: Client[] = [];
  for (let number = 0; number < 200; number++) {
    const client = await openClient(port);
    clients.push(client);
    // The system holds a connection back from the exporter until there is something to read.
    client.send(number % 2 === 0 ? "GET /other HTTP/1.1\r\nHost: exporter\r\n\r\n" : "GET /");
    if (number % 2 === 0) assert.equal((await client.receive(1)).answers[0]?.status, 404);
  }
  const newcomer = await openClient(port);
  newcomer.send("GET /metrics HTTP/1.1\r\nHost: exporter\r\nConnection: close\r\n\r\n");
  const { answers } = await newcomer.receiveUntilClosed();
  const families = parsePage(answers[0]?.body ?? "");
  assert.deepEqual(identities(families), [["test", "", ""]]);
  assert.equal(valueOf(families, "process_max_fds"), 64);
  assert.ok((valueOf(families, "process_open_fds") ?? NaN) < 64);
  const { code, errorOutput } = await exporter.stop();
  assert.equal(code, 0);
  assert.equal(countLines(errorOutput, "level=warn"), 1, errorOutput);
  assert.match(errorOutput, /level=warn message="Too many connections, closed the one idle/);
  clients.forEach((client) => client.close());
});

Deno.test("the source run by Deno gives the same page but for what time changes", async () => {
  await using folder = await createTestFolder();
  const args = ["--once", "--uri", DEMO];
  const compiled = await runExecutable(args, { folder });
  const environment = Object.fromEntries(
    ["HOME", "DENO_DIR", "XDG_CACHE_HOME"].flatMap((name) => {
      const value = Deno.env.get(name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
  const through = [Deno.execPath(), "run", "--quiet", "-A"];
  const executable = `${ROOT}mod.ts`;
  const source = await runExecutable(args, { folder, through, executable, environment });
  assert.deepEqual([compiled.code, source.code, source.errorOutput], [0, 0, ""]);
  const [one, other] = [parsePage(compiled.output), parsePage(source.output)];
  const outline = (families: Families): readonly string[] =>
    [...families.values()].map(({ name, type, help }) => `${name} ${type} ${help}`);
  assert.deepEqual(outline(one), outline(other));
  assert.deepEqual(seriesOf(one), seriesOf(other));
  const first = seed.families.map(({ name }) => name);
  assert.deepEqual([...one.keys()].slice(0, first.length), first);
});

/** What runs a command as the user who owns nothing; root only may, and any other user is good enough. */
const AS_NOBODY = Deno.uid() === 0
  ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
  : [];

Deno.test("it runs for a user who may write nothing, from any folder, wherever it was copied to", async () => {
  await using folder = await createTestFolder();
  const executable = `${folder.path}/exporter`;
  await Deno.copyFile(EXECUTABLE, executable);
  await Deno.chmod(executable, 0o755);
  const readOnly = `${folder.path}/read-only`;
  await Deno.mkdir(readOnly);
  await Deno.chmod(readOnly, 0o555);
  for (const workingDirectory of ["/", "/proc", readOnly]) {
    const options = { folder, executable, through: AS_NOBODY, workingDirectory };
    const { code, output, errorOutput } = await runExecutable(
      ["--once", "--uri", DEFAULT],
      options,
    );
    assert.deepEqual([code, errorOutput], [0, ""], workingDirectory);
    assert.equal(valueOf(parsePage(output), "libvirt_nova_up"), 1);
  }
  const options = { folder, executable, through: AS_NOBODY, workingDirectory: readOnly };
  await using exporter = await startExecutable(["--uri", DEFAULT], options);
  await assertServesWithoutLog(exporter, /"permission denied"/);
});

if (Deno.uid() === 0) {
  Deno.test("it loads no file that another user has put where it unpacks its shim", async () => {
    await using folder = await createTestFolder();
    const executable = `${folder.path}/exporter`;
    await Deno.copyFile(EXECUTABLE, executable);
    await Deno.chmod(executable, 0o755);
    const run = (): ReturnType<typeof runExecutable> =>
      runExecutable(["--once", "--uri", DEFAULT], { folder, executable, through: AS_NOBODY });
    assert.equal((await run()).code, 0);
    const [unpacked] = [...Deno.readDirSync(folder.temporary)].filter(({ name }) =>
      name.endsWith(".node")
    );
    assert.ok(unpacked);
    const path = `${folder.temporary}/${unpacked.name}`;
    await folder.write("foreign.node", "of another user\n");
    await Deno.chmod(`${folder.path}/foreign.node`, 0o755);
    for (const kind of ["file", "link"]) {
      await Deno.remove(path);
      if (kind === "link") await Deno.symlink(`${folder.path}/foreign.node`, path);
      else await Deno.copyFile(`${folder.path}/foreign.node`, path);
      await lchown(path, 1, 1);
      const { code, output, errorOutput } = await run();
      assert.deepEqual([code, errorOutput], [0, ""], kind);
      assert.equal(valueOf(parsePage(output), "libvirt_nova_up"), 1);
      assert.equal(await Deno.readTextFile(path), "of another user\n");
    }
  });
}

Deno.test("it runs no code of its working directory and reads none of the files that runtimes look for", async () => {
  await using folder = await createTestFolder();
  const code = 'console.log("code of the working directory");\n';
  for (const name of ["preload.ts", "mod.ts", "index.ts"]) await folder.write(name, code);
  for (const name of ["package.json", "tsconfig.json"]) await folder.write(name, "{ broken");
  for (const content of ['preload = ["./preload.ts"]\n', "broken [[[\n"]) {
    await folder.write("bunfig.toml", content);
    const { code, output, errorOutput } = await runExecutable(["--version"], { folder });
    assert.deepEqual([code, errorOutput], [0, ""]);
    assertOneLine(output, /^libvirt_nova_exporter /);
  }
});

/** What runs a command as root after a script in file systems of its own; the folder that is named first is its `$0`. */
function withMounts(script: string): readonly [string, ...string[]] {
  const flags = ["--map-root-user", "--mount", "sh", "-c"];
  return ["unshare", ...flags, `set -e; ${script}; exec "$@"`];
}

/** Nothing but a read-only file system in the folder. */
const IN_READ_ONLY_MOUNT = withMounts('mount -t tmpfs -o ro none "$0"; cd "$0"');

/** Nothing may be written anywhere but in the folder. */
const IN_READ_ONLY_ROOT = withMounts('mount -t tmpfs none "$0"; mount -o remount,bind,ro /');

/** A full file system in the folder. */
const ON_FULL_DISK = withMounts(
  'mount -t tmpfs -o size=64k none "$0"; head -c 1M /dev/zero > "$0/filler" 2> /dev/null || true',
);

// A container or a hardened system may forbid it to make a file system of one's own.
if (await succeeds(...IN_READ_ONLY_MOUNT, "/mnt", "true")) {
  Deno.test("it runs where nothing but its temporary folder may be written", async () => {
    await using folder = await createTestFolder();
    const through = [...IN_READ_ONLY_ROOT, folder.temporary];
    await using exporter = await startExecutable(["--uri", DEFAULT], { folder, through });
    await assertServesWithoutLog(exporter, /"the file system is read-only"/);
  });

  Deno.test("a full disk costs lines of the log, which goes on when there is room", async () => {
    await using folder = await createTestFolder();
    const disk = `${folder.path}/disk`;
    await Deno.mkdir(disk);
    const args = ["--uri", DEFAULT, "--log", `${disk}/file.log`];
    const through = [...ON_FULL_DISK, disk];
    await using exporter = await startExecutable(args, { folder, through });
    assert.equal(valueOf(await exporter.scrape(), "libvirt_nova_up"), 1);
    // The test does not see the file system under its own name.
    const seen = `/proc/${exporter.processId}/root${disk}`;
    await Deno.remove(`${seen}/filler`);
    exporter.signal("SIGHUP");
    await eventually(
      "the log goes on",
      async () => (await Deno.readTextFile(`${seen}/file.log`)).includes("Reopened the log"),
    );
    assert.equal(valueOf(await exporter.scrape(), "libvirt_nova_up"), 1);
    const { code, errorOutput } = await exporter.stop();
    assert.equal(code, 0);
    assert.equal(countLines(errorOutput, "Cannot write the log file"), 1, errorOutput);
    assert.match(errorOutput, /"no space is left on the device"/);
    assert.equal(countLines(errorOutput, "can be written again"), 1, errorOutput);
  });

  Deno.test("it runs for root in a folder that is mounted read-only", async () => {
    await using folder = await createTestFolder();
    const mounted = `${folder.path}/mounted`;
    await Deno.mkdir(mounted);
    const through = [...IN_READ_ONLY_MOUNT, mounted];
    await using exporter = await startExecutable(["--uri", DEFAULT], { folder, through });
    await assertServesWithoutLog(exporter, /"the file system is read-only"/);
  });
}

Deno.test("all these tests leave no process behind", () => assertNothingRuns());
