import assert from "node:assert/strict";
import { COLLECTORS } from "../../src/metrics/mod.ts";
import { DAEMON_FUNCTIONS, FUNCTIONS, LOOKED_UP, namesInBindings } from "./functions.ts";

const bindings = await Deno.readTextFile(
  new URL("../../native/src/bindings.rs", import.meta.url),
);

Deno.test("namesInBindings() finds the functions however long their lines are", () => {
  const text = `pub struct Libvirt {
    __library: ::libloading::Library,
    pub virShort: unsafe extern "C" fn() -> ::std::os::raw::c_int,
    pub virLong:
        unsafe extern "C" fn(conn: virConnectPtr) -> ::std::os::raw::c_int,
}
    pub unsafe fn virShort(&self) {}
`;
  assert.deepEqual(namesInBindings(text), ["virShort", "virLong"]);
});

Deno.test("every function that the shim takes from libvirt has its row in the fault matrix", () => {
  const inBindings = [...namesInBindings(bindings), ...LOOKED_UP];
  const rows = Object.keys(FUNCTIONS);
  assert.deepEqual(inBindings.filter((name) => !rows.includes(name)), [], "these have no row");
  assert.deepEqual(rows.filter((name) => !inBindings.includes(name)), [], "the shim lacks these");
});

Deno.test("every collector that a row names is one of the page", () => {
  const known = new Set(COLLECTORS.map(({ name }) => name));
  for (const [name, { collectors }] of DAEMON_FUNCTIONS) {
    assert.deepEqual(collectors.filter((collector) => !known.has(collector)), [], name);
  }
});
