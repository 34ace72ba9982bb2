import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import {
  byCollector,
  familiesOf,
  labelsOf,
  sizeOf,
  withNamesOnce,
  withoutComments,
  withoutFamilies,
} from "../../bench/fleet/page_parts.ts";

const PAGE = `# HELP a_total What is counted
# TYPE a_total counter
a_total{libvirtname="i",novaname="x\\"y",novaproject="p"} 1
a_total{libvirtname="j",novaname="z",novaproject="p"} 2
libvirt_nova_instance_info{libvirtname="i",novaname="x",novaproject="p",uuid="u"} 1
up 1
`;

Deno.test("familiesOf() and labelsOf() tell what takes most of a page", () => {
  deepEqual(familiesOf(PAGE).map(({ name, series }) => [name, series]), [
    ["a_total", 2],
    ["libvirt_nova_instance_info", 1],
    ["up", 1],
  ]);
  equal(familiesOf(PAGE).at(-1)?.bytes, 5);
  deepEqual(labelsOf(PAGE).map(({ name, series }) => [name, series]), [
    ["libvirtname", 3],
    ["novaproject", 3],
    ["novaname", 3],
    ["uuid", 1],
  ]);
});

Deno.test("sizeOf() counts samples and bytes", () => {
  const { series, bytes, gzipBytes } = sizeOf(PAGE.repeat(50));
  equal(series, 200);
  equal(bytes, PAGE.length * 50);
  ok(gzipBytes < bytes / 5);
});

Deno.test("pages can be looked at without a part of them", () => {
  equal(withoutComments(PAGE).split("\n").length, 5);
  const once = withNamesOnce(PAGE);
  ok(once.includes('a_total{libvirtname="i"} 1'));
  ok(once.includes('novaname="x",novaproject="p",uuid'));
  equal(withoutFamilies(PAGE, /^a_/).split("\n").length, 3);
});

Deno.test("byCollector() puts families together, the largest collector first", () => {
  deepEqual(
    byCollector([
      { name: "libvirt_nova_instance_vcpus", series: 10, bytes: 100 },
      { name: "libvirt_nova_instance_cpu_seconds_total", series: 10, bytes: 150 },
      { name: "libvirt_nova_instance_rdbytes", series: 10, bytes: 200 },
      { name: "process_open_fds", series: 1, bytes: 20 },
    ]),
    [
      { name: "cpu", series: 20, bytes: 250 },
      { name: "seed", series: 10, bytes: 200 },
      { name: "", series: 1, bytes: 20 },
    ],
  );
});
