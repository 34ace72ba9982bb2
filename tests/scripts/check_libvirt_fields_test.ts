import assert from "node:assert/strict";
import {
  declaredFields,
  declaredRelease,
  isLater,
  missingFields,
} from "../../scripts/check_libvirt_fields.ts";
import { readFieldList } from "../../testing/libvirt_fields.ts";

/** As libvirt writes its headers; the names are made up. */
const HEADER = `
/**
 * VIR_DOMAIN_STATS_COLOUR_PREFIX:
 */
# define VIR_DOMAIN_STATS_COLOUR_PREFIX "colour."
# define VIR_DOMAIN_STATS_COLOUR_SUFFIX_NAME ".name"
#define VIR_DOMAIN_STATS_COLOUR_SUFFIX_BRIGHTNESS \\
    ".brightness"
# define VIR_DOMAIN_STATS_SHAPE_SUFFIX_NAME ".name"
# define VIR_DOMAIN_JOB_TIME_ELAPSED             "time_elapsed"
# define VIR_DOMAIN_STATS_COUNT 3
# define VIR_DOMAIN_TUNABLE_CPU_VCPUPIN "cputune.vcpupin%u"
`;

Deno.test("declaredFields() finds the names of statistics and of jobs in a header, and nothing else", () => {
  assert.deepEqual(declaredFields(HEADER), [
    { macro: "VIR_DOMAIN_STATS_COLOUR_PREFIX", key: "colour." },
    { macro: "VIR_DOMAIN_STATS_COLOUR_SUFFIX_NAME", key: ".name" },
    { macro: "VIR_DOMAIN_STATS_COLOUR_SUFFIX_BRIGHTNESS", key: ".brightness" },
    { macro: "VIR_DOMAIN_STATS_SHAPE_SUFFIX_NAME", key: ".name" },
    { macro: "VIR_DOMAIN_JOB_TIME_ELAPSED", key: "job.time_elapsed" },
  ]);
  assert.deepEqual(declaredFields(""), []);
});

Deno.test("declaredRelease() reads the release of a header", () => {
  assert.equal(declaredRelease("# define LIBVIR_VERSION_NUMBER 12008000\n"), "12.8.0");
  assert.equal(declaredRelease("#define LIBVIR_VERSION_NUMBER 1002008\n"), "1.2.8");
  assert.equal(declaredRelease("# define VERSION 1\n"), undefined);
});

Deno.test("missingFields() tells names that are not listed, or not for as many devices", () => {
  const missing = missingFields(declaredFields(HEADER), [
    { key: "colour." },
    { key: ".name" },
    { key: "job.time_elapsed" },
    { key: "shape." },
  ]);
  assert.deepEqual(missing, [
    {
      key: ".name",
      macros: ["VIR_DOMAIN_STATS_COLOUR_SUFFIX_NAME", "VIR_DOMAIN_STATS_SHAPE_SUFFIX_NAME"],
      declared: 2,
      listed: 1,
    },
    {
      key: ".brightness",
      macros: ["VIR_DOMAIN_STATS_COLOUR_SUFFIX_BRIGHTNESS"],
      declared: 1,
      listed: 0,
    },
  ]);
});

Deno.test("isLater() compares releases by number", () => {
  const cases: readonly (readonly [release: string, than: string, expected: boolean])[] = [
    ["12.10.0", "12.9.0", true],
    ["12.9.0", "12.10.0", false],
    ["13.0.0", "12.10.1", true],
    ["12.3.1", "12.3.0", true],
    ["12.3.0", "12.3.0", false],
  ];
  for (const [release, than, expected] of cases) {
    assert.equal(isLater(release, than), expected, `${release} ${than}`);
  }
});

Deno.test("the list of libvirt's fields names the release up to which it is complete", () => {
  const { completeUpTo, rows } = readFieldList();
  assert.match(completeUpTo, /^\d+\.\d+\.\d+$/);
  assert.equal(rows[0]?.key, "state.state");
  assert.throws(() => readFieldList("key\tfirst release\n"), /tells no release: "key\t/);
});
