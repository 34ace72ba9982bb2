import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { glibcVersions, OLDEST_GLIBC, requireOldGlibc } from "../../testing/glibc.ts";
import { StepError } from "../../testing/progress.ts";
import { ROOT } from "../../testing/set_up.ts";
import { createTestFolder, EXECUTABLE, requireExecutable } from "../../testing/executable.ts";

const SHIM = `${ROOT}/native/libvirt_nova_native.node`;

function content(...strings: readonly string[]): Uint8Array {
  return new TextEncoder().encode(`\x7fELF\0${strings.join("\0")}\0`);
}

Deno.test("glibcVersions() lists the versions that a file names, oldest first", () => {
  const cases: readonly (readonly [strings: readonly string[], versions: readonly string[]])[] = [
    [["printf", "malloc"], []],
    [["GLIBC_2.17", "GLIBC_2.2.5", "GLIBC_2.17"], ["2.2.5", "2.17"]],
    [["GLIBC_2.9", "GLIBC_2.10", "GLIBC_2.3.4", "GLIBC_2.3"], ["2.3", "2.3.4", "2.9", "2.10"]],
    [["GLIBC_ABI_DT_RELR", "GLIBC_2.17"], ["2.17", "ABI_DT_RELR"]],
    [["GLIBC_PRIVATE", "GLIBC_2.38"], ["2.38", "PRIVATE"]],
    // Names of other libraries' versions, and text about a version.
    [["GLIBCXX_3.4.30", "needs GLIBC_2.34 or later"], []],
  ];
  for (const [strings, versions] of cases) {
    assert.deepEqual(glibcVersions(content(...strings)), versions, strings.join());
  }
});

Deno.test("requireOldGlibc() refuses a file that needs more than is promised, and names both", async () => {
  await using folder = await createTestFolder();
  const write = async (...strings: readonly string[]): Promise<string> => {
    await Deno.writeFile(`${folder.path}/program`, content(...strings));
    return `${folder.path}/program`;
  };
  await requireOldGlibc(await write("GLIBC_2.2.5", `GLIBC_${OLDEST_GLIBC}`));
  await requireOldGlibc(await write("GLIBC_2.28"), "2.28");
  for (const newer of ["2.18", "2.17.1", "2.34", "ABI_DT_RELR", "PRIVATE"]) {
    await assert.rejects(requireOldGlibc(await write("GLIBC_2.2.5", `GLIBC_${newer}`)), (error) => {
      assert.ok(error instanceof StepError);
      assert.ok(error.message.includes(`needs GLIBC_${newer}, and ${OLDEST_GLIBC} is promised`));
      return true;
    });
  }
  await assert.rejects(requireOldGlibc(await write("main")), /build it for glibc/);
});

Deno.test("the shim and the executable run with the oldest glibc that is promised", async () => {
  requireExecutable();
  await requireOldGlibc(SHIM);
  await requireOldGlibc(EXECUTABLE);
});

Deno.test("what the executable needs includes what the shim in it needs", async () => {
  requireExecutable();
  const [executable, shim] = await Promise.all(
    [EXECUTABLE, SHIM].map(async (file) => Buffer.from(await Deno.readFile(file))),
  );
  assert.ok(executable !== undefined && shim !== undefined);
  assert.ok(executable.includes(shim));
});

Deno.test("the shim is linked to no library besides glibc's own", async () => {
  const text = new TextDecoder("latin1").decode(await Deno.readFile(SHIM));
  const libraries = new Set(text.match(/(?<=\0)[\w.+-]+\.so(?:\.\d+)*(?=\0)/g));
  // Opened by name when the exporter starts.
  libraries.delete("libvirt.so.0");
  for (const library of libraries) {
    assert.match(library, /^(?:lib(?:c|dl|pthread|m|rt)|ld-linux-\S+)\.so\.\d$/);
  }
});
