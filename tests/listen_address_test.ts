import assert from "node:assert/strict";
import { createServer } from "node:http";
import {
  bind,
  describeBindFailure,
  formatListenAddress,
  type ListenAddress,
  WebServerError,
} from "../src/web/listen_address.ts";

Deno.test("formatListenAddress() writes an address as operators do", async (t) => {
  const cases: readonly (readonly [ListenAddress, string])[] = [
    [{ host: undefined, port: 9100 }, "*:9100"],
    [{ host: "10.0.0.1", port: 9100 }, "10.0.0.1:9100"],
    [{ host: "::1", port: 9100 }, "[::1]:9100"],
    [{ host: "localhost", port: 0 }, "localhost:0"],
  ];
  for (const [address, expected] of cases) {
    await t.step(expected, () => assert.equal(formatListenAddress(address), expected));
  }
});

Deno.test("describeBindFailure() says in one line what to do", async (t) => {
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
      const message = describeBindFailure({ host: "h", port: 80 }, code);
      assert.match(message, expected);
      assert.doesNotMatch(message, /\n|\.$/);
    });
  }
});

Deno.test("bind() returns the port that the system chose and throws when that one is taken", async () => {
  const first = createServer();
  const second = createServer();
  const { host, port } = await bind(first, { host: "127.0.0.1", port: 0 });
  try {
    assert.equal(host, "127.0.0.1");
    assert.notEqual(port, 0);
    await assert.rejects(bind(second, { host: "127.0.0.1", port }), (error) => {
      assert.ok(error instanceof WebServerError);
      assert.equal(error.message, describeBindFailure({ host: "127.0.0.1", port }, "EADDRINUSE"));
      return true;
    });
  } finally {
    await new Promise((resolve) => first.close(resolve));
  }
});
