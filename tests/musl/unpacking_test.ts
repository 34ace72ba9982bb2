// Unpacking and loading the shim with musl's loader, which says other things than glibc's.
import assert from "node:assert/strict";
import { ensureDebianPackages } from "../../testing/packages.ts";
import { after, REFUSES_MEMORY_FILES, UNPACKING_FAULTS } from "../real/unpacking_faults.ts";
import { createTestFolder, runExecutable, startExecutable } from "../../testing/executable.ts";
import { createMuslRoot, EXECUTABLE_INSIDE } from "./musl_root.ts";
import { ensureMuslSystem } from "./musl_system.ts";

const system = await ensureMuslSystem();
const packages = await ensureDebianPackages(["strace"]);
if (!packages.available) throw new Error(packages.reason);

const ARGS = ["--uri", "test:///default", "--log", "-"];
const FILE = "libvirt_nova_exporter-0/shim.node";

for (const [name, [script, line]] of Object.entries(UNPACKING_FAULTS)) {
  Deno.test(`with musl, a temporary directory that ${name} is done without`, async () => {
    await using root = await createMuslRoot(system);
    await using folder = await createTestFolder();
    await using exporter = await startExecutable(ARGS, {
      folder,
      through: [...after(script, folder), ...root.through()],
      executable: EXECUTABLE_INSIDE,
    });
    assert.equal((await exporter.scrape()).get("libvirt_nova_up")?.samples[0]?.value, 1);
    assert.equal((await exporter.stop()).code, 0);
  });

  Deno.test(`with musl, a temporary directory that ${name} has its remedy where there is no other way`, async () => {
    await using root = await createMuslRoot(system);
    await using folder = await createTestFolder();
    const { code, output, errorOutput } = await runExecutable(
      [...ARGS, "--web.listen-address", "127.0.0.1:0"],
      {
        folder,
        through: [...after(script, folder), ...REFUSES_MEMORY_FILES, ...root.through()],
        executable: EXECUTABLE_INSIDE,
      },
    );
    assert.deepEqual([code, output], [1, ""], errorOutput);
    assert.match(errorOutput, /^libvirt_nova_exporter: [^\n]+\n$/);
    assert.ok(errorOutput.includes(`"${folder.temporary}"`), errorOutput);
    assert.match(errorOutput, line);
  });
}

Deno.test("with musl, an unpacked shim that was damaged is replaced, and one that is the same is used", async () => {
  await using root = await createMuslRoot(system);
  await using folder = await createTestFolder();
  const file = `${folder.temporary}/${FILE}`;
  const start = async (): Promise<number | null> => {
    const { code, errorOutput } = await runExecutable([...ARGS, "--once"], {
      folder,
      through: root.through(),
      executable: EXECUTABLE_INSIDE,
    });
    assert.equal(code, 0, errorOutput);
    return (await Deno.stat(file)).ino;
  };
  const first = await start();
  assert.equal(await start(), first);
  const content = await Deno.readFile(file);
  await Deno.writeFile(file, new Uint8Array(content.length));
  assert.notEqual(await start(), first);
  assert.deepEqual(await Deno.readFile(file), content);
});

Deno.test("with musl, a missing client library of libvirt is named, with the package that brings it", async () => {
  await using root = await createMuslRoot(system);
  await using folder = await createTestFolder();
  await Deno.remove(`${root.path}/lib/libvirt.so.0`);
  const { code, errorOutput } = await runExecutable(ARGS, {
    folder,
    through: root.through(),
    executable: EXECUTABLE_INSIDE,
  });
  assert.equal(code, 1);
  assert.match(errorOutput, /^libvirt_nova_exporter: [^\n]*libvirt-libs[^\n]*\n$/);
});

Deno.test("with musl, a library of the compiler that is missing is named", async () => {
  await using root = await createMuslRoot(system);
  await using folder = await createTestFolder();
  for (const { name } of [...Deno.readDirSync(`${root.path}/lib`)]) {
    if (name.startsWith("libgcc_s")) await Deno.remove(`${root.path}/lib/${name}`);
  }
  const { code, errorOutput } = await runExecutable(ARGS, {
    folder,
    through: root.through(),
    executable: EXECUTABLE_INSIDE,
  });
  // The system's loader says so before the program begins.
  assert.equal(code, 127);
  assert.match(errorOutput, /Error loading shared library libgcc_s/);
});
