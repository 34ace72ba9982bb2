// Requests to the executable, right and wrong. It is built by `npm run build`.
import assert from "node:assert/strict";
import {
  assertNothingRuns,
  createTestFolder,
  requireExecutable,
  startExecutable,
} from "../../testing/executable.ts";
import { freePort } from "../../testing/free_port.ts";
import { DEFAULT_URI } from "../../testing/hypervisor_files.ts";
import { identities } from "../../testing/instance_families.ts";
import { parsePage, valueOf } from "../../testing/parse_page.ts";
import { assertNoStackTrace, countLines } from "../../testing/printed_lines.ts";
import { startSilentDaemon } from "../../testing/silent_daemon.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import { type Client, openClient } from "../../testing/web_client.ts";

requireExecutable();

function hasIpv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

Deno.test("every answer has its status, and none a stack trace", async () => {
  await using folder = await createTestFolder();
  await using exporter = await startExecutable(["--uri", DEFAULT_URI, "--log", "-"], { folder });
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
  await using exporter = await startExecutable(["--uri", DEFAULT_URI, "--log", "-"], { folder });
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
  const args = ["--uri", DEFAULT_URI, "--log", "-", "--libvirt.timeout", "50ms"];
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
    `/probe?target=allowed&uri=${encodeURIComponent(DEFAULT_URI)}`,
  );
  assert.deepEqual([status, valueOf(parsePage(body), "libvirt_nova_up")], [200, 0]);
  await waitUntil("the target is asked", () => daemon.connections() > 0);
});

Deno.test("nothing of a request is in the head of its answer or in the log, and nothing that a terminal obeys in its body", async () => {
  await using folder = await createTestFolder();
  const args = ["--uri", DEFAULT_URI, "--log", "-", "--log.level", "debug", "--path", "/m"];
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
    const args = ["--uri", DEFAULT_URI, "--log", "-", flag, "/über/all", ...listen];
    await using exporter = await startExecutable(args, { folder });
    await waitUntil(
      "it says where",
      () => /Started/.test(exporter.errorOutput()),
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
  const args = ["--uri", DEFAULT_URI, "--log", "-", "--port", `${port}`];
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
  await using exporter = await startExecutable(["--uri", DEFAULT_URI, "--log", "-"], { folder });
  for (const value of ["10", "0", "-1", "abc", "NaN", "1e5", "", "9".repeat(300), "1, 2"]) {
    const page = await exporter.get("/metrics", headers(value));
    assert.deepEqual([page.status, valueOf(parsePage(page.body), "libvirt_nova_up")], [200, 1]);
  }
});

Deno.test("a few file descriptors suffice, and idle clients do not lock out a scrape", async () => {
  await using folder = await createTestFolder();
  const through = ["sh", "-c", 'ulimit -n 64 && exec "$0" "$@"'];
  const args = ["--uri", DEFAULT_URI, "--log", "-"];
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

Deno.test("all these tests leave no process behind", () => assertNothingRuns());
