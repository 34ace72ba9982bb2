import assert from "node:assert/strict";
import { renderPlainFamilies } from "../../src/metrics/exposition.ts";
import { fileDescriptorLimit, processFamilies } from "../../src/metrics/process.ts";
import { parsePage } from "../../testing/parse_page.ts";

Deno.test("processFamilies() says of this process what the system says", () => {
  const families = parsePage(renderPlainFamilies(processFamilies(fileDescriptorLimit()), "text"));
  const value = (name: string): number => families.get(name)?.samples[0]?.value ?? NaN;
  const now = Date.now() / 1000;
  const statusKibibytes = Number(
    /^VmRSS:\s+(\d+)/m.exec(Deno.readTextFileSync("/proc/self/status"))?.[1],
  );
  assert.ok(value("process_start_time_seconds") > now - 3_600);
  assert.ok(value("process_start_time_seconds") <= now);
  assert.ok(value("process_cpu_seconds_total") > 0);
  assert.ok(value("process_open_fds") >= 3);
  assert.ok(value("process_open_fds") < value("process_max_fds"));
  const resident = value("process_resident_memory_bytes") / 1024;
  assert.ok(Math.abs(resident - statusKibibytes) / statusKibibytes < 0.5, `${resident} KiB`);
  assert.ok(value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"));
  assert.deepEqual([...families.values()].map(({ type }) => type), [
    "counter",
    ...Array.from({ length: 5 }, () => "gauge"),
  ]);
});
