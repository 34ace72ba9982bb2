import assert from "node:assert/strict";
import { ROOT } from "../../testing/set_up.ts";
import { needsFrom, needsOf, requiredBuild, type TestNeeds } from "../../scripts/test_needs.ts";
import { filesBelow } from "../../scripts/files_below.ts";

const files = await filesBelow(`${ROOT}/tests`, "_test.ts");
const needs = await needsOf(files);

Deno.test("needsOf() finds what a test needs by what it imports", () => {
  const cases: readonly (readonly [file: string, needs: TestNeeds])[] = [
    ["libvirt/snapshot_test.ts", { build: "nothing", usesSystem: false }],
    ["web/settings/tls_settings_test.ts", { build: "nothing", usesSystem: true }],
    ["shim/native_test.ts", { build: "shim", usesSystem: false }],
    ["web/server_test.ts", { build: "shim", usesSystem: false }],
    ["executable/once_test.ts", { build: "executable", usesSystem: false }],
    ["real/prometheus_test.ts", { build: "executable", usesSystem: true }],
    ["real/landing_page_test.ts", { build: "nothing", usesSystem: true }],
  ];
  for (const [file, expected] of cases) {
    assert.deepEqual(needs.get(`${ROOT}/tests/${file}`), expected, file);
  }
});

Deno.test("needsFrom() follows imports however long their way is, and no types", () => {
  const file = (name: string): string => `file://${ROOT}/${name}`;
  const graph = {
    modules: [
      { specifier: file("a.ts"), dependencies: [{ code: { specifier: file("b.ts") } }] },
      {
        specifier: file("b.ts"),
        dependencies: [{ code: { specifier: file("a.ts") } }, {
          code: { specifier: file("native/x.node") },
        }],
      },
      { specifier: file("types.ts"), dependencies: [{ type: { specifier: file("a.ts") } }] },
    ],
  };
  assert.equal(needsFrom(graph, file("a.ts")).build, "shim");
  assert.equal(needsFrom(graph, file("types.ts")).build, "nothing");
});

Deno.test("requiredBuild() is what suffices for all", () => {
  const of = (...builds: readonly TestNeeds["build"][]): TestNeeds["build"] =>
    requiredBuild(builds.map((build) => ({ build, usesSystem: false })));
  assert.equal(of(), "nothing");
  assert.equal(of("nothing", "nothing"), "nothing");
  assert.equal(of("nothing", "shim"), "shim");
  assert.equal(of("shim", "executable", "nothing"), "executable");
});

Deno.test("tests start programs through one module, by which what they start can be found", async () => {
  const starting = [];
  for (const folder of ["tests", "testing"]) {
    for (const file of await filesBelow(`${ROOT}/${folder}`, ".ts")) {
      if ((await Deno.readTextFile(file)).includes("new Deno" + ".Command")) starting.push(file);
    }
  }
  // Set-up is what npm's scripts do, too.
  const allowed = ["command", "progress"].map((name) => `${ROOT}/testing/${name}.ts`);
  assert.deepEqual(starting, allowed);
});
