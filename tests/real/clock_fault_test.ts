import assert from "node:assert/strict";
import { startExporterProcess } from "../../testing/exporter_process.ts";
import { ensureDebianPackages } from "../../testing/packages.ts";
import { pause } from "../../testing/wait_until.ts";

const packages = await ensureDebianPackages(["faketime"]);

/** Replaces the wall clock of a process, and leaves its steady clock alone. */
const FAKETIME_LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

if (packages.available) {
  Deno.test("a clock that is stepped back an hour costs nothing", async () => {
    const folder = Deno.makeTempDirSync();
    const offset = `${folder}/offset`;
    Deno.writeTextFileSync(offset, "+0");
    try {
      const environment = {
        LD_PRELOAD: FAKETIME_LIBRARY,
        FAKETIME_TIMESTAMP_FILE: offset,
        FAKETIME_NO_CACHE: "1",
        DONT_FAKE_MONOTONIC: "1",
      };
      await using exporter = await startExporterProcess(
        "test:///default",
        ["--scrape.min-interval", "100ms"],
        { environment },
      );
      const before = await exporter.scrape();
      Deno.writeTextFileSync(offset, "-3600");
      await pause(150);
      const after = await exporter.scrape();
      const later = await exporter.scrape();
      for (const page of [before, after, later]) {
        assert.equal(page.up, 1);
        const age = page.value("libvirt_nova_exporter_collection_age_seconds") ?? NaN;
        assert.ok(age >= 0 && age < 10, `a collection of ${age} s`);
        const duration = page.value("libvirt_nova_exporter_scrape_duration_seconds") ?? NaN;
        assert.ok(duration >= 0 && duration < 10, `a collection that took ${duration} s`);
      }
      const collections = "libvirt_nova_exporter_collections_total";
      assert.equal(after.value(collections), (before.value(collections) ?? NaN) + 1);
      const start = "process_start_time_seconds";
      assert.equal(after.value(start), before.value(start));
      assert.equal(await exporter.stop(), 0);
      const [first = "", last = ""] = [exporter.logLines()[0], exporter.logLines().at(-1)];
      const hour = (line: string): number => Date.parse(/^time=(\S+)/.exec(line)?.[1] ?? "");
      assert.ok(hour(last) < hour(first), "the clock was not stepped back");
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
}
