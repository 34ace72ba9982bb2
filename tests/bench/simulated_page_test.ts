import {
  deepStrictEqual as deepEqual,
  notStrictEqual as differs,
  ok,
  strictEqual as equal,
} from "node:assert/strict";
import { readTemplate, SimulatedHost } from "../../bench/fleet/simulated_page.ts";

const LABELS = (number: number): string =>
  `libvirtname="instance-0000000${number}",novaname="server-${number}",novaproject="p"`;

const PAGE = "# TYPE libvirt_nova_instance_cpu_seconds_total counter\n" +
  [0, 1].map((number) =>
    `libvirt_nova_instance_cpu_seconds_total{${LABELS(number)}} 1
libvirt_nova_instance_block_errors_total{${LABELS(number)},target_device="vda"} 0
libvirt_nova_instance_vcpus{${LABELS(number)}} 2
libvirt_nova_instance_interface_info{${
      LABELS(number)
    },target_device="tap0000000${number}-00",mac_address="fa:16:3e:00:00:0${number}"} 1
libvirt_nova_instance_info{${LABELS(number)},uuid="00000000-0000-4000-8000-00000000000${number}"} 1
`
  ).join("") + "libvirt_nova_exporter_scrape_duration_seconds 0.1\nlibvirt_nova_up 1\n";

const TEMPLATE = readTemplate(PAGE);

function valuesOf(page: string, family: string): readonly number[] {
  return page.split("\n").filter((line) => line.split(/[{ ]/, 1)[0] === family)
    .map((line) => Number(line.split(" ").at(-1)));
}

Deno.test("a simulated host has the families of the page, and names that no other host has", () => {
  equal(TEMPLATE.instances, 2);
  const [first, second] = [
    new SimulatedHost(TEMPLATE, 0).page(),
    new SimulatedHost(TEMPLATE, 7).page(),
  ];
  const families = (page: string): readonly string[] =>
    page.split("\n").map((line) => line.split("{")[0] ?? "");
  deepEqual(
    families(second).map((line) => line.split(" ")[0]),
    families(PAGE).map((line) => line.split(" ")[0]),
  );
  for (
    const name of [
      'libvirtname="instance-0000000f"',
      'novaname="server-15"',
      "tap0000000f-00",
      "fa:16:3e:00:00:0f",
      "00000000-0000-4000-8000-00000000000f",
    ]
  ) {
    ok(second.includes(name), name);
    ok(!first.includes(name), name);
  }
});

Deno.test("counters of a simulated host grow, durations change, and what is fixed stays", () => {
  const host = new SimulatedHost(TEMPLATE, 1);
  const before = host.page();
  for (let tick = 0; tick < 20; tick++) host.advance(15);
  const after = host.page();
  const grown = valuesOf(after, "libvirt_nova_instance_cpu_seconds_total");
  valuesOf(before, "libvirt_nova_instance_cpu_seconds_total").forEach((value, index) => {
    ok((grown[index] ?? 0) > value, `${value}`);
  });
  deepEqual(valuesOf(after, "libvirt_nova_instance_block_errors_total"), [0, 0]);
  deepEqual(valuesOf(after, "libvirt_nova_instance_vcpus"), [2, 2]);
  const duration = "libvirt_nova_exporter_scrape_duration_seconds";
  differs(valuesOf(after, duration)[0], valuesOf(before, duration)[0]);
});

Deno.test("an instance that takes the place of another has names of its own and counts from 0", () => {
  const host = new SimulatedHost(TEMPLATE, 0);
  host.replaceInstance(1);
  const page = host.page();
  ok(page.includes('libvirtname="instance-00000000"'));
  ok(!page.includes('libvirtname="instance-00000001"'));
  equal(valuesOf(page, "libvirt_nova_instance_cpu_seconds_total")[1], 0);
  equal(valuesOf(page, "libvirt_nova_instance_vcpus")[1], 2);
});

Deno.test("a simulated host is the same each time", () => {
  const page = (): string => {
    const host = new SimulatedHost(TEMPLATE, 3);
    host.advance(15);
    return host.page();
  };
  equal(page(), page());
});
