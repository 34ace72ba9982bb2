import assert from "node:assert/strict";
import { bytesText, countOf, durationText, percentText } from "../../src/once/units.ts";

Deno.test("bytesText() takes the greatest unit that leaves a digit before the point", () => {
  const cases: readonly (readonly [bytes: number, full: string, short: string])[] = [
    [0, "0 B", "0B"],
    [0.4, "0 B", "0B"],
    [1, "1 B", "1B"],
    [999, "999 B", "999B"],
    [999.6, "1.0 KiB", "1.0Ki"],
    [1000, "1.0 KiB", "1.0Ki"],
    [1024, "1.0 KiB", "1.0Ki"],
    [10 * 1024, "10.0 KiB", "10Ki"],
    [9.96 * 1024, "10.0 KiB", "10Ki"],
    [99.96 * 1024, "100 KiB", "100Ki"],
    [1_048_575, "1.0 MiB", "1.0Mi"],
    [2 * 2 ** 30, "2.0 GiB", "2.0Gi"],
    [12.34 * 2 ** 30, "12.3 GiB", "12Gi"],
    [512 * 2 ** 30, "512 GiB", "512Gi"],
    [1.5 * 2 ** 40, "1.5 TiB", "1.5Ti"],
    [3 * 2 ** 50, "3.0 PiB", "3.0Pi"],
    [2 ** 63, "8.0 EiB", "8.0Ei"],
  ];
  for (const [bytes, full, short] of cases) {
    assert.equal(bytesText(bytes, "full"), full);
    assert.equal(bytesText(bytes, "short"), short);
  }
});

Deno.test("bytesText() is never wider than its column", () => {
  for (let power = 0; power < 64; power += 1 / 16) {
    assert.ok(bytesText(2 ** power, "full").length <= 8, bytesText(2 ** power, "full"));
    assert.ok(bytesText(2 ** power, "short").length <= 5, bytesText(2 ** power, "short"));
  }
});

Deno.test("percentText() gives cores in percent of one", () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, "0.0"],
    [0.0004, "0.0"],
    [0.032, "3.2"],
    [1, "100.0"],
    [9.9994, "999.9"],
    [9.9996, "1000"],
    [127.6, "12760"],
  ];
  for (const [cores, text] of cases) assert.equal(percentText(cores), text);
});

Deno.test("countOf() counts instances", () => {
  assert.deepEqual([0, 1, 2].map(countOf), ["0 instances", "1 instance", "2 instances"]);
});

Deno.test("durationText() is in whole units of which there are two at least, but for seconds", () => {
  const cases: readonly (readonly [seconds: number, text: string])[] = [
    [-1, "0 s"],
    [0, "0 s"],
    [0.6, "1 s"],
    [119.4, "119 s"],
    [119.6, "2 min"],
    [120, "2 min"],
    [3_600, "60 min"],
    [7_199.4, "120 min"],
    [7_200, "2 h"],
    [172_799, "48 h"],
    [172_800, "2 d"],
    [1e9, "11574 d"],
  ];
  for (const [seconds, text] of cases) assert.equal(durationText(seconds), text);
});
