// The executable on systems that are older than this one, or too old for it.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { fileURLToPath } from "node:url";
import { outputOf } from "../../testing/command.ts";
import {
  createTestFolder,
  EXECUTABLE,
  requireExecutable,
  runExecutable,
  startExecutable,
  type TestFolder,
} from "../../testing/executable.ts";
import { ROOT } from "../../testing/set_up.ts";

requireExecutable();

const OLD_KERNEL = fileURLToPath(new URL("../../testing/old_kernel.py", import.meta.url));
const ONCE = ["--once", "--uri", "test:///default"];

/** The highest number of a system call that Linux 3.10 has, which is RHEL 7's; RHEL 8 has 4.18. */
const HIGHEST_CALLS: Readonly<Record<string, number>> = { "x86_64": 313, "aarch64": 273 };

Deno.test("the executable serves with a kernel that has no system call that came after Linux 3.10", async () => {
  await using folder = await createTestFolder();
  const through = ["python3", OLD_KERNEL, String(HIGHEST_CALLS[Deno.build.arch])];
  await using old = await startExecutable(["--uri", "test:///default"], { folder, through });
  await using present = await startExecutable(["--uri", "test:///default"], { folder });
  const [pageOfOld, page] = [await old.scrape(), await present.scrape()];
  assert.equal(pageOfOld.get("libvirt_nova_up")?.samples[0]?.value, 1);
  assert.deepEqual([...pageOfOld.keys()], [...page.keys()]);
  assert.equal((await old.stop()).code, 0);
  assert.equal((await present.stop()).code, 0);
});

/** Copies the executable with another version in the place of some that its runtime or its shim names. */
async function copyWithNeed(
  folder: TestFolder,
  whose: "runtime" | "shim",
  version: string,
): Promise<string> {
  const content = Buffer.from(await Deno.readFile(EXECUTABLE));
  const shim = Buffer.from(await Deno.readFile(`${ROOT}/native/libvirt_nova_native.node`));
  const start = content.indexOf(shim);
  assert.ok(start > 0);
  const part = whose === "shim"
    ? content.subarray(start, start + shim.length)
    : content.subarray(0, start);
  const position = part.indexOf("GLIBC_2.14\0");
  assert.ok(position > 0);
  part.write(`GLIBC_${version}`, position);
  const path = `${folder.path}/executable`;
  await Deno.writeFile(path, content, { mode: 0o755 });
  return path;
}

Deno.test("a shim that needs a newer glibc is told in one line, with what there is and what is needed", async () => {
  await using folder = await createTestFolder();
  const executable = await copyWithNeed(folder, "shim", "9.14");
  const { code, output, errorOutput } = await runExecutable(ONCE, { folder, executable });
  const present = (await outputOf("getconf", ["GNU_LIBC_VERSION"])).trim();
  assert.equal(code, 1);
  assert.equal(output, "");
  assert.match(errorOutput, /^[^\n]+\n$/);
  assert.ok(
    errorOutput.includes(`this system has ${present}, and the shim needs 9.14: `),
    errorOutput,
  );
});

Deno.test("where glibc is too old for the executable itself, the system says which one is needed", async () => {
  await using folder = await createTestFolder();
  const executable = await copyWithNeed(folder, "runtime", "9.14");
  const { code, errorOutput } = await runExecutable(ONCE, { folder, executable });
  assert.equal(code, 1);
  assert.match(errorOutput, /^[^\n]*version `GLIBC_9\.14' not found[^\n]*\n$/);
});
