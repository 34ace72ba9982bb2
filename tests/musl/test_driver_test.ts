import assert from "node:assert/strict";
import { SWITCHED_COLLECTORS } from "../../src/metrics/mod.ts";
import { ROOT } from "../../testing/set_up.ts";
import { startExporterProcess } from "../../testing/exporter_process.ts";
import { createMuslRoot, EXECUTABLE_INSIDE } from "./musl_root.ts";
import { ensureMuslSystem } from "./musl_system.ts";
import { assertAlike } from "./page_comparison.ts";

const system = await ensureMuslSystem();

const ALL_ON = SWITCHED_COLLECTORS.map(({ name }) => `--collector.${name}`);

Deno.test("the executable for musl is linked to no other C library", async () => {
  await using root = await createMuslRoot(system);
  await using exporter = await startExporterProcess("test:///default", [], {
    through: root.through(),
    executable: EXECUTABLE_INSIDE,
  });
  const mapped = new Set(
    (await Deno.readTextFile(`/proc/${exporter.processId}/maps`)).match(/\S*(ld-|libc\b)\S*$/gm),
  );
  assert.deepEqual([...mapped].map((path) => path.replace(root.path, "")), [
    "/lib/ld-musl-x86_64.so.1",
  ]);
  assert.equal(await exporter.stop(), 0);
});

Deno.test("a page of libvirt's test driver has the same series and values with musl and with glibc", async (context) => {
  await using root = await createMuslRoot(system);
  const demo = `${root.path}/demo.xml`;
  await Deno.copyFile(`${ROOT}/contrib/demo/hypervisor.xml`, demo);
  const uris = {
    "its own host": ["test:///default", "test:///default"],
    "the demo": [`test://${demo}`, "test:///demo.xml"],
  } as const;
  for (const [name, [outside, inside]] of Object.entries(uris)) {
    await context.step(name, async () => {
      await using glibc = await startExporterProcess(outside, ALL_ON);
      await using musl = await startExporterProcess(inside, ALL_ON, {
        through: root.through(),
        executable: EXECUTABLE_INSIDE,
      });
      // What is counted from the second scrape on is there then.
      for (const exporter of [glibc, musl]) assert.equal((await exporter.scrape()).up, 1);
      const before = await glibc.scrape();
      const page = await musl.scrape();
      assertAlike(page, before, await glibc.scrape());
    });
  }
});
