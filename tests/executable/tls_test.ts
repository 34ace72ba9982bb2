import assert from "node:assert/strict";
import { makeCertificate, type TestCertificate } from "../../testing/certificates.ts";
import { openClient, openTlsClient } from "../../testing/web_client.ts";
import {
  type Answer,
  NAMES,
  request,
  RIGHT,
  sClient,
  TLS,
  USERS,
  withScene,
} from "./web_config_fixture.ts";
import { waitUntil } from "../../testing/wait_until.ts";

Deno.test("a request without TLS is told that TLS is spoken here", async () => {
  await withScene(async ({ start }) => {
    await using exporter = await start(`${TLS}${USERS}`);
    const port = exporter.ports[0] ?? 0;
    for (const path of ["/metrics", "/"]) {
      const plain = await request({ host: "127.0.0.1", port, path }, false);
      assert.deepEqual(plain, {
        status: 400,
        body: "Client sent an HTTP request to an HTTPS server.\n",
      });
    }
    const { output } = await sClient(exporter, [], "");
    assert.match(output, /BEGIN CERTIFICATE/);
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
      const { answers } = await plain.receiveUntilClosed();
      assert.deepEqual(answers.map(({ status }) => status), [400]);
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
    await waitUntil(
      "TLS 1.3 is spoken",
      async () => /New, TLSv1\.3/.test((await sClient(exporter, ["-tls1_3"])).output),
    );
    assert.match((await sClient(exporter, ["-tls1_2"])).output, /alert protocol version/);
    await folder.write("web.yml", TLS);
    exporter.signal("SIGHUP");
    const ask = "GET /-/healthy HTTP/1.0\r\n\r\n";
    for (const version of ["-tls1_2", "-tls1_3"]) {
      await waitUntil(
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

Deno.test("it refuses a second handshake on a connection, which would cost it a signature each time", async () => {
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
    await waitUntil("the other certificate is shown", () => shows("other"));
    await folder.write("web.yml", `${config}oops: 1\n`);
    exporter.signal("SIGHUP");
    await waitUntil(
      "it complains",
      () => /Cannot use the changed web configuration.*line 4/.test(exporter.errorOutput()),
    );
    assert.ok(await shows("other"));
    await folder.write("web.yml", config.replaceAll("data/", "one/"));
    exporter.signal("SIGHUP");
    await waitUntil(
      "the first certificate is shown again",
      () => shows("server"),
    );
    assert.match(exporter.errorOutput(), /The web configuration can be used again/);
  });
});
