// What an operator of the executable sees of --web.config.file, of Unix sockets and of sockets that systemd passes.
import assert from "node:assert/strict";
import { HASH, NAMES, RIGHT, TLS, USERS, withScene } from "./web_config_fixture.ts";
import { startSilentDaemon } from "../../testing/silent_daemon.ts";
import { outputOf } from "../../testing/command.ts";
import { waitUntil } from "../../testing/wait_until.ts";
import { requireExecutable, runExecutable } from "../../testing/executable.ts";
import { openClient } from "../../testing/web_client.ts";
import { makeCertificate } from "../../testing/certificates.ts";

requireExecutable();

Deno.test("--web.config.check says in one line whether the file can be used", async () => {
  await withScene(async ({ folder }) => {
    const check = (file: string): ReturnType<typeof runExecutable> =>
      runExecutable(["--web.config.check", "--web.config.file", file], { folder });
    const good = await check(await folder.write("good.yml", `${TLS}${USERS}`));
    assert.equal(good.code, 0, good.errorOutput);
    assert.match(good.output, /^The web configuration ".*good\.yml" can be used: TLS, 1 user\n$/);
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

Deno.test("--web.config.check warns of a certificate and a key that clients will refuse", async () => {
  await withScene(async ({ folder }) => {
    await makeCertificate(folder.path, "server", { names: NAMES, isExpired: true, rsaBits: 1_024 });
    const file = await folder.write("web.yml", TLS);
    const args = ["--web.config.check", "--web.config.file", file];
    const { code, output, errorOutput } = await runExecutable(args, { folder });
    assert.equal(code, 0, errorOutput);
    assert.match(output, /^The web configuration ".*" can be used: TLS, 0 users\n$/);
    assert.match(
      errorOutput,
      /^Warning: The server's certificate has expired: renew it \(expired: .*Z\)\nWarning: The server's key is so short .*\(bits: 1024\)\n$/,
    );
    for (const curve of ["secp256k1", "secp224r1"]) {
      const key = `${folder.path}/server.key`;
      await outputOf("openssl", ["ecparam", "-name", curve, "-genkey", "-noout", "-out", key]);
      const wrong = await runExecutable(args, { folder });
      assert.equal(wrong.code, 1);
      assert.match(
        wrong.errorOutput,
        /server\.key": is (?:damaged, or )?of a kind that clients do not take/,
      );
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

Deno.test("no request makes the exporter ask libvirt, or another hypervisor, before its login", async () => {
  await withScene(async ({ start, folder }) => {
    using other = startSilentDaemon(folder);
    await using exporter = await start(USERS, [
      "--probe.target",
      `other=${other.uri}`,
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
    await waitUntil("the target is asked", () => other.connections() > 0);
  });
});
