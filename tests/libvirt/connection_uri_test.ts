import assert from "node:assert/strict";
import { readConnectionUri } from "../../src/libvirt/connection_uri.ts";

Deno.test("readConnectionUri() tells the driver, the way to it, what is behind it and the socket", () => {
  const cases: readonly (readonly [
    uri: string,
    driver: string,
    transport: string,
    path: string,
    socket?: string,
  ])[] = [
    ["qemu:///system", "qemu", "unix", "/system"],
    ["qemu:///session", "qemu", "unix", "/session"],
    ["qemu+unix:///system?socket=/a/b%20c", "qemu", "unix", "/system", "/a/b c"],
    ["qemu:///system?mode=direct&socket=/first;socket=/last", "qemu", "unix", "/system", "/last"],
    ["qemu:///system?socket=%zz", "qemu", "unix", "/system", ""],
    ["qemu:///system?socket=%00", "qemu", "unix", "/system", ""],
    ["qemu+ssh://nova@host:22/system?keyfile=/k", "qemu", "ssh", "/system"],
    ["qemu+TLS://host/system", "qemu", "tls", "/system"],
    ["qemu://host/system", "qemu", "tls", "/system"],
    ["test:///default", "test", "none", "/default"],
    ["test+unix:///default", "test", "unix", "/default"],
    ["test://host/default", "test", "tls", "/default"],
    ["an alias", "", "", ""],
    ["", "", "", ""],
  ];
  for (const [uri, driver, transport, path, socket] of cases) {
    assert.deepEqual(readConnectionUri(uri), { driver, transport, path, socket }, uri);
  }
});
