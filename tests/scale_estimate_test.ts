import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { loadOf, measurePage, rounded } from "../scripts/scale_estimate.ts";
import { COLLECTORS } from "../src/metrics/mod.ts";

const DEFAULTS = COLLECTORS.filter(({ byDefault }) => byDefault !== false);

Deno.test("measurePage() measures the same page each time", async () => {
  deepEqual(await measurePage(DEFAULTS), await measurePage(DEFAULTS));
});

Deno.test("measurePage() has a hundred times the series that docs/metrics.md counts for one instance, and the host's", async () => {
  const { series } = await measurePage(DEFAULTS);
  const { series: fewer } = await measurePage(DEFAULTS.filter(({ name }) => name !== "seed"));
  // The collector "seed" has 12 series per instance, and one about itself in each of two families.
  equal(series - fewer, 100 * 12 + 2);
});

Deno.test("measurePage() finds that gzip makes a page smaller, by not more than such text can be", async () => {
  const { bytes, gzipBytes } = await measurePage(DEFAULTS);
  ok(gzipBytes < bytes / 5, `${gzipBytes} of ${bytes}`);
  ok(gzipBytes > bytes / 50, `${gzipBytes} of ${bytes}`);
});

Deno.test("loadOf() multiplies a page by hosts and time", () => {
  const load = loadOf({ series: 3_000, bytes: 1, gzipBytes: 60_000 }, 30);
  equal(load.samplesPerSecond, 100_000);
  equal(load.networkBytesPerSecond, 2_000_000);
  deepEqual(load.diskBytesPerDay, [8.64e9, 17.28e9]);
});

Deno.test("rounded() keeps two significant digits", () => {
  const cases: readonly (readonly [value: number, text: string])[] = [
    [5_836_000, "5,800,000"],
    [96.7, "97"],
    [8.34, "8.3"],
    [1_000, "1,000"],
  ];
  for (const [value, text] of cases) equal(rounded(value), text);
});
