import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import {
  bind,
  explainBindFailure,
  formatListenAddress,
  type ListenAddress,
  WebServerError,
} from "../../src/web/listen_address.ts";

Deno.test("formatListenAddress() writes an address as operators do", async (t) => {
  const cases: readonly (readonly [ListenAddress, string])[] = [
    [{ host: undefined, port: 9100 }, "*:9100"],
    [{ host: "10.0.0.1", port: 9100 }, "10.0.0.1:9100"],
    [{ host: "::1", port: 9100 }, "[::1]:9100"],
    [{ host: "localhost", port: 0 }, "localhost:0"],
    [{ path: "/run/a.sock", mode: 0o660 }, "unix:/run/a.sock"],
    [{ fileDescriptor: 3 }, "socket 3 of systemd"],
  ];
  for (const [address, expected] of cases) {
    await t.step(expected, () => assert.equal(formatListenAddress(address), expected));
  }
});

Deno.test("explainBindFailure() says in one line what to do", async (t) => {
  const cases = [
    [
      "EADDRINUSE",
      /^Cannot listen on "h:80": the port is in use, .* another with --port or --web\.listen-address$/,
    ],
    [
      "EACCES",
      /^Cannot listen on "h:80": permission denied, .* above 1023 .* CAP_NET_BIND_SERVICE$/,
    ],
    [
      "EADDRNOTAVAIL",
      /^Cannot listen on "h:80": no network interface of this host has that address, /,
    ],
    ["EINVAL", /: no network interface of this host has that address, /],
    ["ENOTFOUND", /^Cannot listen on "h:80": the host name is unknown, /],
    ["EAFNOSUPPORT", /^Cannot listen on "h:80": this host has that address family switched off, /],
    ["ENOBUFS", /^Cannot listen on "h:80": ENOBUFS, choose another address or port$/],
  ] as const;
  for (const [code, expected] of cases) {
    await t.step(code, () => {
      const message = explainBindFailure({ host: "h", port: 80 }, code);
      assert.match(message, expected);
      assert.doesNotMatch(message, /\n|\.$/);
    });
  }
});

Deno.test("explainBindFailure() says in one line what to do about a Unix socket", () => {
  for (
    const [code, expected] of [
      ["EADDRINUSE", /another program answers there/],
      ["ENOTSOCK", /a file that is no socket, remove it/],
      ["ENOENT", /its folder does not exist/],
      ["EACCES", /permission denied/],
      ["ENOBUFS", /ENOBUFS, choose another path/],
    ] as const
  ) {
    const message = explainBindFailure({ path: "/run/a.sock", mode: 0o660 }, code);
    assert.match(message, /^Cannot listen on "unix:\/run\/a\.sock": [^\n]+[^.\n]$/);
    assert.match(message, expected);
  }
});

Deno.test("bind() listens on a Unix socket with the permissions that were asked for, also where one was left behind", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/a.sock`;
  try {
    // A socket that is bound and not listened on, as after a crash.
    const left = createServer();
    await bind(left, { path, mode: 0o600 });
    await Deno.link(path, `${path}.kept`);
    await new Promise((resolve) => left.close(resolve));
    await Deno.rename(`${path}.kept`, path);
    const server = createServer((socket) => socket.end());
    assert.deepEqual(await bind(server, { path, mode: 0o606 }), { path });
    assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o606);
    await new Promise<void>((resolve, reject) => {
      const client = connect({ path }, () => resolve(void client.destroy()));
      client.on("error", reject);
    });
    const second = createServer();
    await assert.rejects(bind(second, { path, mode: 0o606 }), /another program answers there/);
    await new Promise((resolve) => server.close(resolve));
    await Deno.writeTextFile(path, "a file");
    await assert.rejects(bind(second, { path, mode: 0o606 }), /a file that is no socket/);
    assert.equal(await Deno.readTextFile(path), "a file");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("bind() returns the port that the system chose and throws when that one is taken", async () => {
  const first = createServer();
  const second = createServer();
  const bound = await bind(first, { host: "127.0.0.1", port: 0 });
  assert.ok("host" in bound);
  const { host, port } = bound;
  try {
    assert.equal(host, "127.0.0.1");
    assert.notEqual(port, 0);
    await assert.rejects(bind(second, { host: "127.0.0.1", port }), (error) => {
      assert.ok(error instanceof WebServerError);
      assert.equal(error.message, explainBindFailure({ host: "127.0.0.1", port }, "EADDRINUSE"));
      return true;
    });
  } finally {
    await new Promise((resolve) => first.close(resolve));
  }
});
