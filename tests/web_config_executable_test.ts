// What an operator of the executable sees of --web.config.file, of Unix sockets and of sockets that systemd passes.
import assert from "node:assert/strict";
import { request as httpRequest, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { makeCertificate, type TestCertificate } from "./support/certificates.ts";
import {
  assertNothingRuns,
  createTestFolder,
  requireExecutable,
  runExecutable,
  type ServingExecutable,
  startExecutable,
  type StartOptions,
  type TestFolder,
} from "./support/executable.ts";
import { eventually, openClient, openTlsClient } from "./web_client.ts";

requireExecutable();

/** Of "fakepassword", at the usual cost. */
const HASH = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";
const USERS = `basic_auth_users:\n  alice: ${HASH}\n`;
const RIGHT = `Basic ${btoa("alice:fakepassword")}`;
const TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";
const READY = "message=Started";
const NAMES = "DNS:localhost,IP:127.0.0.1";

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Requests a page on a connection of its own; status 0 when there is none. */
function request(options: RequestOptions & TlsOptions, isTls: boolean): Promise<Answer> {
  return new Promise((resolve) => {
    const send = isTls ? httpsRequest : httpRequest;
    const outgoing = send({ agent: false, ...options }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => body += chunk);
      response.on("error", () => resolve({ status: 0, body: "" }));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
    });
    outgoing.on("error", (error) => resolve({ status: 0, body: String(error) }));
    outgoing.end();
  });
}

interface TlsOptions {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

interface Scene {
  readonly folder: TestFolder;
  readonly server: TestCertificate;
  start(
    config: string,
    args?: readonly string[],
    options?: Partial<StartOptions>,
  ): Promise<ServingExecutable>;
}

async function withScene(use: (scene: Scene) => Promise<void>): Promise<void> {
  await using folder = await createTestFolder();
  const server = await makeCertificate(folder.path, "server", { names: NAMES });
  await use({
    folder,
    server,
    async start(config, args = [], options = {}): Promise<ServingExecutable> {
      const file = await folder.write("web.yml", config);
      const log = ["--uri", "test:///default", "--log", "-", "--log.level", "debug"];
      return await startExecutable([...log, "--web.config.file", file, ...args], {
        folder,
        readyWhen: READY,
        ...options,
      });
    },
  });
  assertNothingRuns();
}

/** Runs openssl's client against the executable; gives its exit code and all that it says. */
async function sClient(
  { ports }: ServingExecutable,
  args: readonly string[],
  input = "",
): Promise<{ readonly code: number; readonly output: string }> {
  const client = new Deno.Command("openssl", {
    args: ["s_client", "-connect", `127.0.0.1:${ports[0]}`, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = client.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await client.output();
  return { code, output: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

Deno.test("--web.config.check says in one line whether the file can be used", async () => {
  await withScene(async ({ folder }) => {
    const check = (file: string): ReturnType<typeof runExecutable> =>
      runExecutable(["--web.config.check", "--web.config.file", file], { folder });
    const good = await check(await folder.write("good.yml", `${TLS}${USERS}`));
    assert.equal(good.code, 0, good.errorOutput);
    assert.match(good.output, /^The web configuration ".*good\.yml" can be used: TLS, 1 users?\n$/);
    assert.equal(good.errorOutput, "");
    for (
      const [text, says] of [
        ["a: 1", /line 1: unknown key "a"/],
        [
          USERS.replace(HASH, "fakepassword"),
          /line 2: basic_auth_users\.alice: this is no bcrypt hash/,
        ],
        [
          TLS.replace("server.key", "missing.key"),
          /key_file ".*missing\.key": there is no such file/,
        ],
        [`${TLS}  cipher_suites: [x]\n`, /line 4: tls_server_config\.cipher_suites\[0\]/],
      ] as const
    ) {
      const bad = await check(await folder.write("bad.yml", text));
      assert.equal(bad.code, 1);
      assert.equal(bad.output, "");
      assert.match(bad.errorOutput, /^libvirt_nova_exporter: Web configuration[^\n]*\n$/);
      assert.match(bad.errorOutput, says);
      assert.ok(!bad.errorOutput.includes("fakepassword"));
    }
  });
});

Deno.test("a web configuration that cannot be used ends the start with one line", async () => {
  await withScene(async ({ folder }) => {
    const file = await folder.write("web.yml", `${TLS}  min_version: TLS11\n`);
    const args = ["--log", "-", "--web.listen-address", "127.0.0.1:0", "--web.config.file", file];
    const { code, errorOutput } = await runExecutable(args, { folder });
    assert.equal(code, 1);
    assert.match(
      errorOutput,
      /^libvirt_nova_exporter: [^\n]*line 4: tls_server_config\.min_version[^\n]*\n$/,
    );
  });
});

Deno.test("flags that do not go together, or lack their value, end the start with one line", async () => {
  await withScene(async ({ folder }) => {
    for (
      const [args, says] of [
        [["--web.config.check"], "--web.config.file"],
        [["--web.systemd-socket", "--web.listen-address", ":0"], "--web.systemd-socket"],
        [["--web.listen-address", "unix:relative"], "absolute path"],
        [["--web.listen-address", `unix:/${"x".repeat(120)}`], "107 bytes"],
      ] as const
    ) {
      const { code, errorOutput } = await runExecutable(args, { folder });
      assert.equal(code, 2);
      assert.match(errorOutput, /^[^\n]+\n$/);
      assert.ok(errorOutput.includes(says), errorOutput);
    }
    const { code, errorOutput } = await runExecutable(["--web.systemd-socket", "--log", "-"], {
      folder,
    });
    assert.equal(code, 1);
    assert.match(errorOutput, /systemd has passed no socket/);
  });
});

Deno.test("it serves TLS with logins, and every page only after one", async () => {
  await withScene(async ({ start, server }) => {
    await using exporter = await start(`${TLS}${USERS}`);
    const get = (path: string, authorization?: string, method = "GET"): Promise<Answer> =>
      request({
        host: "127.0.0.1",
        port: exporter.ports[0],
        path,
        method,
        ca: server.certificate,
        headers: authorization === undefined ? {} : { authorization },
      }, true);
    for (const path of ["/", "/metrics", "/-/healthy", "/-/ready", "/nowhere"]) {
      assert.equal((await get(path)).status, 401, path);
      assert.equal((await get(path, `Basic ${btoa("alice:wrong")}`)).status, 401, path);
    }
    assert.match((await get("/metrics", RIGHT)).body, /^libvirt_nova_up /m);
    assert.match((await get("/", RIGHT)).body, /<title>libvirt_nova_exporter<\/title>/);
    assert.deepEqual(await get("/-/healthy", RIGHT), { status: 200, body: "Healthy\n" });
    assert.deepEqual(await get("/-/healthy", RIGHT, "HEAD"), { status: 200, body: "" });
    assert.equal((await get("/nowhere", RIGHT)).status, 404);
    const commandLine = await Deno.readTextFile(`/proc/${exporter.processId}/cmdline`);
    const pages = [await get("/", RIGHT), await get("/metrics", RIGHT)].map(({ body }) => body);
    const { errorOutput } = await exporter.stop();
    for (const text of [commandLine, errorOutput, ...pages]) {
      assert.ok(
        !text.includes("fakepassword") && !text.includes("$2y$") && !text.includes(btoa("alice:")),
      );
    }
  });
});

/** Requests that want something of libvirt, or look as if they might get by a login. */
const UNINVITED: readonly string[] = [
  ...["/metrics", "/metrics?collect[]=cpu", "/probe?target=other", "/", "/-/ready", "/-/healthy"]
    .flatMap((target) => [
      `GET ${target} HTTP/1.1\r\nHost: h\r\n`,
      `GET ${target} HTTP/1.0\r\n`,
      `HEAD ${target} HTTP/1.1\r\nHost: h\r\n`,
      `POST ${target} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n`,
      `GET http://h${target} HTTP/1.1\r\nHost: h\r\n`,
      `GET ${target} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`,
      `GET ${target} HTTP/1.1\r\nHost: h\r\nExpect: more\r\n`,
      ...[
        "Basic",
        "Basic Og==",
        "Bearer YWxpY2U6ZmFrZXBhc3N3b3Jk",
        `Basic ${btoa("alice:")}`,
        `Basic ${btoa(`alice:${HASH}`)}`,
        `Basic ${btoa("nobody:fakepassword")}`,
        `Basic ${btoa("alice:fakepassword\u0000x")}`,
        `Basic ${btoa(" alice:fakepassword")}`,
        `Basic x\r\nAuthorization: ${RIGHT}`,
      ].map((login) => `GET ${target} HTTP/1.1\r\nHost: h\r\nAuthorization: ${login}\r\n`),
    ]),
  "OPTIONS * HTTP/1.1\r\nHost: h\r\n",
  `GET /%6detrics HTTP/1.1\r\nHost: h\r\nProxy-Authorization: ${RIGHT}\r\n`,
  `CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\nGET /metrics HTTP/1.1\r\nHost: h\r\n`,
  `GET /metrics?authorization=${encodeURIComponent(RIGHT)} HTTP/1.1\r\nHost: h\r\n`,
];

/** A libvirt that takes connections, and never answers; says how many it took. */
function startListener(path: string): Disposable & { connections(): number } {
  const listener = Deno.listen({ transport: "unix", path });
  const connections: Deno.Conn[] = [];
  const taken = (async (): Promise<void> => {
    for await (const connection of listener) connections.push(connection);
  })();
  return {
    connections: () => connections.length,
    [Symbol.dispose](): void {
      listener.close();
      taken.catch(() => {});
      for (const connection of connections) connection.close();
    },
  };
}

Deno.test("no request makes the exporter ask libvirt, or another hypervisor, before its login", async () => {
  await withScene(async ({ start, folder }) => {
    using other = startListener(`${folder.path}/other`);
    await using exporter = await start(USERS, [
      "--probe.target",
      `other=qemu+unix:///system?socket=${folder.path}/other`,
    ]);
    const collections = async (): Promise<number> => {
      const { body } = await exporter.get("/metrics", { headers: { authorization: RIGHT } });
      return Number(/^libvirt_nova_exporter_collections_total (\d+)$/m.exec(body)?.[1]);
    };
    const before = await collections();
    for (const text of UNINVITED) {
      const client = await openClient(exporter.ports[0] ?? 0, text.startsWith("HEAD"));
      client.send(`${text}Connection: close\r\n\r\n`);
      const { answers } = await client.receiveUntilClosed();
      assert.deepEqual(answers.map(({ status }) => status), [401], text);
      assert.ok(!/libvirt_nova_(?!exporter")/.test(answers[0]?.body ?? ""), text);
    }
    assert.equal(await collections(), before + 1);
    assert.equal(other.connections(), 0);
    // Who has logged in gets there, so the listener would have noticed.
    const { status } = await exporter.get("/probe?target=other", {
      headers: { authorization: RIGHT, "X-Prometheus-Scrape-Timeout-Seconds": "0.1" },
    });
    assert.equal(status, 200);
    await eventually("the target is asked", () => Promise.resolve(other.connections() > 0));
  });
});

Deno.test("no request makes the exporter ask libvirt before its client has shown a certificate", async () => {
  await withScene(async ({ start, folder, server }) => {
    const authority = await makeCertificate(folder.path, "authority");
    const known = await makeCertificate(folder.path, "known", { authority });
    const self = await makeCertificate(folder.path, "self");
    await using exporter = await start(
      `${TLS}  client_ca_file: authority.crt\n  client_auth_type: RequireAndVerifyClientCert\n`,
    );
    const port = exporter.ports[0] ?? 0;
    const collections = async (): Promise<number> => {
      const { body } = await request({
        host: "127.0.0.1",
        port,
        path: "/metrics",
        ca: server.certificate,
        cert: known.certificate,
        key: known.key,
      }, true);
      return Number(/^libvirt_nova_exporter_collections_total (\d+)$/m.exec(body)?.[1]);
    };
    const before = await collections();
    for (const path of ["/metrics", "/-/ready", "/"]) {
      const text = `GET ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`;
      for (const identity of [{}, { cert: self.certificate, key: self.key }]) {
        const client = await openTlsClient(port, { ca: server.certificate, ...identity });
        client.send(text);
        assert.deepEqual((await client.receiveUntilClosed()).answers, []);
      }
      const plain = await openClient(port);
      plain.send(text);
      assert.deepEqual((await plain.receiveUntilClosed()).answers, []);
    }
    assert.equal(await collections(), before + 1);
  });
});

Deno.test("it asks for client certificates with one of the allowed names", async () => {
  await withScene(async ({ start, folder, server }) => {
    const authority = await makeCertificate(folder.path, "authority");
    const names = {
      good: "DNS:other.example,DNS:prom.example",
      ip: "IP:2001:db8::1",
      bad: "DNS:prom.example.evil",
      // One name with a comma in it, which must not count as two.
      tricky: "@names\n[names]\nDNS.1=x.evil\\, DNS:prom.example",
    };
    await using exporter = await start(
      `${TLS}  client_ca_file: authority.crt\n  client_auth_type: RequireAndVerifyClientCert\n` +
        "  client_allowed_sans: [prom.example, '2001:db8::1']\n",
    );
    const status = async (client?: TestCertificate): Promise<number> =>
      (await request({
        host: "127.0.0.1",
        port: exporter.ports[0],
        path: "/-/healthy",
        ca: server.certificate,
        ...(client === undefined ? {} : { cert: client.certificate, key: client.key }),
      }, true)).status;
    for (
      const [name, expected] of [
        ["good", 200],
        ["ip", 200],
        ["bad", 0],
        ["tricky", 0],
      ] as const
    ) {
      const client = await makeCertificate(folder.path, name, { names: names[name], authority });
      assert.equal(await status(client), expected, name);
    }
    assert.equal(
      await status(await makeCertificate(folder.path, "self", { names: names.good })),
      0,
    );
    assert.equal(await status(), 0);
    const { errorOutput } = await exporter.stop();
    assert.match(errorOutput, /level=debug message="Refused a client".*client_allowed_sans/);
  });
});

Deno.test("it heeds versions, cipher suites and curves, and resumes no session", async () => {
  await withScene(async ({ start, folder }) => {
    await using exporter = await start(
      `${TLS}  max_version: TLS12\n` +
        "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n" +
        "  curve_preferences: [CurveP384]\n",
    );
    const suites = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384";
    const plain = await sClient(exporter, ["-cipher", suites]);
    // The server's order counts, unless the configuration says otherwise.
    assert.match(plain.output, /New, TLSv1\.2, Cipher is ECDHE-ECDSA-AES256-GCM-SHA384/);
    assert.match(plain.output, /ECDH, secp384r1|ECDH, P-384/);
    for (
      const args of [["-tls1_3"], ["-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"], [
        "-curves",
        "X25519",
      ]]
    ) {
      assert.match(
        (await sClient(exporter, args)).output,
        /alert|no peer certificate/,
        args.join(" "),
      );
    }
    await folder.write("web.yml", `${TLS}  min_version: TLS13\n`);
    exporter.signal("SIGHUP");
    await eventually(
      "TLS 1.3 is spoken",
      async () => /New, TLSv1\.3/.test((await sClient(exporter, ["-tls1_3"])).output),
    );
    assert.match((await sClient(exporter, ["-tls1_2"])).output, /alert protocol version/);
    await folder.write("web.yml", TLS);
    exporter.signal("SIGHUP");
    const ask = "GET /-/healthy HTTP/1.0\r\n\r\n";
    for (const version of ["-tls1_2", "-tls1_3"]) {
      await eventually(
        `${version} is spoken`,
        async () => /New, TLSv1/.test((await sClient(exporter, [version])).output),
      );
      const session = `${folder.path}/session${version}`;
      await sClient(exporter, [version, "-ign_eof", "-sess_out", session], ask);
      if (!await folder.has(`session${version}`)) continue;
      const { output } = await sClient(exporter, [version, "-ign_eof", "-sess_in", session], ask);
      assert.match(output, /^New, TLSv1/m);
      assert.doesNotMatch(output, /^Reused/m);
    }
  });
});

Deno.test("it agrees to no handshake anew on a connection, each of which would cost it a signature", async () => {
  await withScene(async ({ start }) => {
    await using exporter = await start(TLS);
    const { output } = await sClient(exporter, ["-tls1_2"], "R\n");
    assert.match(output, /RENEGOTIATING/);
    assert.match(output, /alert no renegotiation/);
  });
});

Deno.test("it follows certificates behind a symbolic link that changes, and SIGHUP", async () => {
  await withScene(async ({ start, folder, server }) => {
    const other = await makeCertificate(folder.path, "other", { names: NAMES });
    for (const [name, { certificate, key }] of [["one", server], ["two", other]] as const) {
      await Deno.mkdir(`${folder.path}/${name}`);
      await folder.write(`${name}/tls.crt`, certificate);
      await folder.write(`${name}/tls.key`, key);
    }
    await Deno.symlink("one", `${folder.path}/data`);
    const config = "tls_server_config:\n  cert_file: data/tls.crt\n  key_file: data/tls.key\n";
    await using exporter = await start(config);
    const shows = async (name: string): Promise<boolean> =>
      (await sClient(exporter, [])).output.includes(`subject=CN = ${name}`);
    assert.ok(await shows("server"));
    await Deno.symlink("two", `${folder.path}/data.new`);
    await Deno.rename(`${folder.path}/data.new`, `${folder.path}/data`);
    await eventually("the other certificate is shown", () => shows("other"));
    await folder.write("web.yml", `${config}oops: 1\n`);
    exporter.signal("SIGHUP");
    await eventually(
      "it complains",
      () =>
        Promise.resolve(
          /Cannot use the changed web configuration.*line 4/.test(exporter.errorOutput()),
        ),
    );
    assert.ok(await shows("other"));
    await folder.write("web.yml", config.replaceAll("data/", "one/"));
    exporter.signal("SIGHUP");
    await eventually("the first certificate is shown again", () => shows("server"));
    assert.match(exporter.errorOutput(), /The web configuration can be used again/);
  });
});

Deno.test("it listens on a Unix socket, in place of one that was left behind, and removes it at the end", async () => {
  await withScene(async ({ start, folder, server }) => {
    const path = `${folder.path}/exporter.sock`;
    const get = (isTls: boolean): Promise<Answer> =>
      request(
        { socketPath: path, path: "/-/healthy", ca: server.certificate, host: "localhost" },
        isTls,
      );
    const listen = ["--web.listen-address", `unix:${path}`];
    {
      await using exporter = await start("", listen);
      assert.deepEqual(await get(false), { status: 200, body: "Healthy\n" });
      assert.equal((await Deno.lstat(path)).mode! & 0o777, 0o660);
      const second = await runExecutable([...listen, "--log", "-"], { folder });
      assert.equal(second.code, 1);
      assert.match(
        second.errorOutput,
        /^[^\n]*"unix:.*exporter\.sock": another program answers there[^\n]*\n$/,
      );
      assert.equal((await get(false)).status, 200);
      exporter.signal("SIGKILL");
      await exporter.ended();
    }
    assert.ok((await Deno.lstat(path)).isSocket, "it was left behind");
    {
      await using exporter = await start(TLS, [
        "--web.listen-address",
        `unix:${path}?mode=0606`,
        "--web.listen-address",
        "127.0.0.1:0",
      ]);
      assert.equal((await get(true)).status, 200);
      assert.equal((await Deno.lstat(path)).mode! & 0o777, 0o606);
      assert.equal((await sClient(exporter, [])).code, 0);
      await exporter.stop();
    }
    assert.ok(!await folder.has("exporter.sock"));
    await folder.write("exporter.sock", "no socket");
    const blocked = await runExecutable([...listen, "--log", "-"], { folder });
    assert.match(blocked.errorOutput, /there is a file that is no socket/);
    assert.equal(await folder.read("exporter.sock"), "no socket");
  });
});

/** Does what systemd does: opens a TCP socket and a Unix socket, and starts the exporter with them as 3 and 4. */
const ACTIVATE = `
use Socket; use POSIX ();
my $path = shift @ARGV;
socket(my $tcp, PF_INET, SOCK_STREAM, 0) or die;
bind($tcp, sockaddr_in(0, INADDR_LOOPBACK)) or die;
socket(my $unix, PF_UNIX, SOCK_STREAM, 0) or die;
bind($unix, sockaddr_un($path)) or die;
my ($tcp_copy, $unix_copy) = (POSIX::dup2(fileno($tcp), 10), POSIX::dup2(fileno($unix), 11));
listen($tcp, 16) or die; listen($unix, 16) or die;
POSIX::dup2(10, 3); POSIX::dup2(11, 4); POSIX::close(10); POSIX::close(11);
$ENV{LISTEN_FDS} = 2; $ENV{LISTEN_PID} = $$;
exec { $ARGV[0] } @ARGV or die;
`;

Deno.test("it listens on the sockets that systemd passes, with and without TLS", async () => {
  for (const isTls of [false, true]) {
    await withScene(async ({ start, folder, server }) => {
      const path = `${folder.path}/passed.sock`;
      await using exporter = await start(isTls ? TLS : "", ["--web.systemd-socket"], {
        through: ["perl", "-e", ACTIVATE, path],
      });
      const ask = (where: RequestOptions): Promise<Answer> =>
        request({ ...where, path: "/-/healthy", ca: server.certificate, host: "localhost" }, isTls);
      assert.equal((await ask({ socketPath: path })).status, 200);
      assert.equal(exporter.ports.length, 1);
      const answer = await request({
        host: "127.0.0.1",
        port: exporter.ports[0],
        path: "/metrics",
        ca: server.certificate,
      }, isTls);
      assert.equal(answer.status, 200);
      const { code } = await exporter.stop();
      assert.equal(code, 0);
      // The socket is systemd's, which goes on listening.
      assert.ok((await Deno.lstat(path)).isSocket);
    });
  }
});

Deno.test("with the metrics at the root there is no page for people", async () => {
  await withScene(async ({ start }) => {
    await using exporter = await start("", ["--path", "/"]);
    const { status, body } = await exporter.get("/");
    assert.equal(status, 200);
    assert.match(body, /^libvirt_nova_up /m);
    assert.equal((await exporter.get("/-/healthy")).status, 200);
    assert.equal((await exporter.get("/metrics")).status, 404);
  });
});

Deno.test("it says that it is not ready while libvirt is away, at once and with the reason", async () => {
  await withScene(async ({ start }) => {
    await using exporter = await start("", ["--uri", "qemu+unix:///system?socket=/nowhere/socket"]);
    await eventually("it has asked libvirt", async () => {
      const { body } = await exporter.get("/-/ready");
      return body.includes("libvirt is not available");
    });
    const { status, body } = await exporter.get("/-/ready");
    assert.equal(status, 503);
    assert.match(body, /^Not ready: libvirt is not available: [^\n]+\n$/);
    assert.equal((await exporter.get("/-/healthy")).status, 200);
    assert.match((await exporter.get("/")).body, /not available/);
  });
});
