import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { domainProcessFile, domainStartSeconds } from "../../src/libvirt/domain_start.ts";

Deno.test("domainProcessFile() finds the file of a local connection to the system's QEMU driver", async (t) => {
  const cases: ReadonlyArray<readonly [string, string, string | undefined]> = [
    ["qemu:///system", "a", "/run/libvirt/qemu/a.pid"],
    ["qemu+unix:///system", "a", "/run/libvirt/qemu/a.pid"],
    ["qemu:///system?", "a", "/run/libvirt/qemu/a.pid"],
    ["qemu:///system?mode=legacy", "a", "/run/libvirt/qemu/a.pid"],
    ["qemu:///system?websocket=/a/b", "a", "/run/libvirt/qemu/a.pid"],
    ["qemu:///system?socket=/run/libvirt/libvirt-sock-ro", "a", "/run/libvirt/qemu/a.pid"],
    ["qemu+unix:///system?socket=/run/libvirt/virtqemud-sock-ro", "a", "/run/libvirt/qemu/a.pid"],
    [
      "qemu+unix:///system?mode=direct&socket=/host/run/libvirt/libvirt-sock-ro",
      "a",
      "/host/run/libvirt/qemu/a.pid",
    ],
    ["qemu:///system?socket=/a/b;socket=/c/d", "a", "/c/qemu/a.pid"],
    ["qemu:///system?socket=/a%20b/c+d/e%2Ff", "a", "/a b/c+d/e/qemu/a.pid"],
    ["qemu:///system", "instance-00000001", "/run/libvirt/qemu/instance-00000001.pid"],
    ["qemu:///system", "ä 😀\n", "/run/libvirt/qemu/ä 😀\n.pid"],
    ["qemu:///system", "..", "/run/libvirt/qemu/...pid"],
    ["qemu:///system", "", undefined],
    ["qemu:///system", "a/b", undefined],
    ["qemu:///system", "../a", undefined],
    ["qemu:///system", "a\0", undefined],
    ["qemu:///system?socket=", "a", undefined],
    ["qemu:///system?socket=libvirt-sock", "a", undefined],
    ["qemu:///system?socket=/a%00/b", "a", undefined],
    ["qemu:///system?socket=/a%zz/b", "a", undefined],
    ["qemu:///session", "a", undefined],
    ["qemu:///systems", "a", undefined],
    ["qemu:///embed?root=/a", "a", undefined],
    ["qemu+ssh:///system", "a", undefined],
    ["qemu+tls://host/system", "a", undefined],
    ["qemu+tcp://127.0.0.1/system", "a", undefined],
    ["qemu://host/system", "a", undefined],
    ["qemu+unix://host/system", "a", undefined],
    ["qemu+ssh://host/system?socket=/run/libvirt/libvirt-sock-ro", "a", undefined],
    ["xen:///system", "a", undefined],
    ["lxc:///system", "a", undefined],
    ["test:///default", "a", undefined],
    ["", "a", undefined],
  ];
  for (const [uri, name, expected] of cases) {
    await t.step(`domain ${JSON.stringify(name)} of "${uri}"`, () => {
      assert.equal(domainProcessFile(name, { uri }), expected);
    });
  }
});

Deno.test("domainStartSeconds() is the time of a regular file, and undefined without one", async (t) => {
  const directory = mkdtempSync(`${tmpdir()}/domain-start-`);
  const files = `${directory}/libvirt/qemu`;
  const options = { uri: `qemu+unix:///system?socket=${directory}/libvirt/libvirt-sock-ro` };
  try {
    mkdirSync(files, { recursive: true });
    writeFileSync(`${files}/running.pid`, "4242");
    utimesSync(`${files}/running.pid`, 0, 1_717_236_000.125);
    writeFileSync(`${files}/of-another-day.pid`, "");
    utimesSync(`${files}/of-another-day.pid`, 0, 86_400);
    symlinkSync("running.pid", `${files}/link.pid`);
    mkdirSync(`${files}/folder.pid`);
    const cases: ReadonlyArray<readonly [string, number | undefined]> = [
      ["running", 1_717_236_000.125],
      ["of-another-day", 86_400],
      ["link", undefined],
      ["folder", undefined],
      ["missing", undefined],
      ["running.pid", undefined],
      ["running.pid/x", undefined],
      ["../qemu/running", undefined],
      ["running\0", undefined],
      ["x".repeat(5_000), undefined],
      ["\uD800", undefined],
    ];
    for (const [name, expected] of cases) {
      await t.step(`domain ${JSON.stringify(name.slice(0, 20))}`, () => {
        assert.equal(domainStartSeconds(name, options), expected);
      });
    }
    await t.step("a connection to another machine", () => {
      const uri = options.uri.replace("qemu+unix:///", "qemu+ssh://host/");
      assert.equal(domainStartSeconds("running", { uri }), undefined);
    });
    await t.step("a directory that is not there", () => {
      const uri = `qemu:///system?socket=${directory}/elsewhere/libvirt-sock-ro`;
      assert.equal(domainStartSeconds("running", { uri }), undefined);
    });
    await t.step("a directory that is a file", () => {
      const uri = `qemu:///system?socket=${files}/running.pid/libvirt-sock-ro`;
      assert.equal(domainStartSeconds("running", { uri }), undefined);
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
});
