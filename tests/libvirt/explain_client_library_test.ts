import assert from "node:assert/strict";
import { runCommand } from "../../testing/command.ts";
import { createServer } from "node:net";
import { explainFailure } from "../../src/libvirt/explain.ts";
import { openHypervisor } from "../../src/shim/native.ts";
import { DENIED, explainTransport, OPEN, SYSTEM } from "./explain_fixture.ts";

Deno.test("explainFailure() names the group whose members may use the socket, and none that would not help", async () => {
  const group = /^([^:\n]+):[^:\n]*:([1-9]\d*):/m.exec(Deno.readTextFileSync("/etc/group"));
  if (Deno.uid() !== 0 || group === null) return;
  const [, name, id] = group;
  const unknown = 4_000_000_000;
  const cases: readonly (readonly [gid: number, mode: number, remedy: string])[] = [
    [Number(id), 0o770, `: add the exporter's user to the group "${name}"`],
    [unknown, 0o770, `: add the exporter's user to the group ${unknown}`],
    [0, 0o770, ""],
    [Number(id), 0o700, ""],
    // Something else than the mode keeps whoever is refused here out.
    [Number(id), 0o777, ""],
  ];
  const folder = Deno.makeTempDirSync();
  const path = `${folder}/libvirt-sock-ro`;
  const server = createServer().listen(path);
  await new Promise((resolve) => server.once("listening", resolve));
  try {
    for (const [gid, mode, remedy] of cases) {
      Deno.chownSync(path, null, gid);
      Deno.chmodSync(path, mode);
      const message = `Failed to connect socket to '${path}': ${DENIED}`;
      for (const uri of [SYSTEM, `qemu:///system?socket=${path}`]) {
        assert.equal(explainTransport(OPEN, message, uri), message + remedy);
      }
    }
  } finally {
    server.close();
    Deno.removeSync(folder, { recursive: true });
  }
});

/** What the shim says when it cannot connect, explained. */
async function explainOpening(uri: string): Promise<readonly unknown[]> {
  const hypervisor = await openHypervisor({ uri, concurrency: 1, maximumAbandoned: 1 });
  try {
    const { failure } = await hypervisor.survey({
      timeoutMilliseconds: 20_000,
      callTimeoutMilliseconds: 20_000,
      groups: 0,
      domainCalls: 0,
      hostCalls: 0,
      inactive: false,
    });
    return failure === undefined
      ? []
      : [failure.origin, failure.code, explainFailure(failure, uri)];
  } finally {
    await hypervisor.close();
  }
}

Deno.test("what libvirt's client library says of missing, dead and refused ways is what explainFailure() goes by", async () => {
  const folder = Deno.makeTempDirSync();
  const path = Deno.env.get("PATH") ?? "";
  const dead = `${folder}/dead`;
  // A socket whose listener has ended stays where it is.
  const listener = `require("node:net").createServer().listen(${JSON.stringify(dead)}, ` +
    "() => process.kill(process.pid, 9))";
  await runCommand("node", ["--eval", listener]);
  const prints = "printf 'Welcome\\r\\nnova@compute2: Permission denied (publickey).\\r\\n' >&2";
  // It ends after the first word from libvirt, which would else fail to write it.
  const ssh = `#!/bin/sh\nhead -c 1 > /dev/null\n${prints}\nexit 255\n`;
  Deno.writeTextFileSync(`${folder}/ssh`, ssh, { mode: 0o755 });
  Deno.env.set("PATH", `${folder}:${path}`);
  try {
    const missing = `${folder}/missing`;
    const cases: readonly (readonly [uri: string, expected: readonly unknown[]])[] = [
      [`qemu+unix:///system?socket=${missing}`, [
        7,
        38,
        `Failed to connect socket to '${missing}': No such file or directory: correct the path after ` +
        '"socket=" in the URI, or start the daemon that listens there',
      ]],
      [`qemu:///system?socket=${dead}`, [
        7,
        38,
        `Failed to connect socket to '${dead}': Connection refused: start the daemon that listens there`,
      ]],
      [`qemu+ssh://nova@compute2/system`, [
        7,
        38,
        "nova@compute2: Permission denied (publickey).: give the exporter's user a key that the host accepts",
      ]],
      [`test:///${missing.slice(1)}`, [
        0,
        0,
        `cannot read the test driver's file "${missing}": No such file or directory: name another file in --uri`,
      ]],
    ];
    for (const [uri, expected] of cases) assert.deepEqual(await explainOpening(uri), expected, uri);
  } finally {
    Deno.env.set("PATH", path);
    Deno.removeSync(folder, { recursive: true });
  }
});
