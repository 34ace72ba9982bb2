/**
 * A made-up host with one instance, as Nova and libvirt 12 with QEMU describe and measure it. The documentation counts
 * series on it.
 *
 * @module
 */
import type { HostEntity } from "../src/libvirt/hypervisor.ts";
import type { Collector } from "../src/metrics/family.ts";
import { COLLECTORS } from "../src/metrics/mod.ts";
import { Scraper } from "../src/scrape/scraper.ts";
import { type FakeDomain, FakeHypervisor } from "./fake_hypervisor.ts";
import { type ParsedFamily, parsePage } from "./parse_page.ts";
import { decodePage, scraperOptions } from "./scraper_options.ts";
import { sourceFields } from "./source_fields.ts";

/** What the sample has, where that changes how many series there are; each is a part of a sentence. */
export const SAMPLE_PARTS: readonly string[] = [
  "one disk, one network interface and two vCPUs",
  "limits of the disk's throughput, in bytes and in requests, and of the interface's in both directions",
  "one I/O thread",
  "two performance events enabled",
  "one resctrl monitor of one cache bank, one of one NUMA node and one of one processor package",
  "statistics of the disk's latency in one interval and in histograms of four bins for reads, writes and flushes",
  "a migration under way",
  "what KVM counts on x86-64",
];

const UUID = "cef19ce0-0ca2-4110-855d-b19fbce37686";

const XML = `<domain type="kvm">
  <name>instance-0000002a</name>
  <uuid>${UUID}</uuid>
  <metadata>
    <nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1">
      <nova:package version="34.0.0"/>
      <nova:name>sample</nova:name>
      <nova:creationTime>2026-06-01 10:00:00</nova:creationTime>
      <nova:flavor name="m1.small" id="6a523f6f-5ede-4a3a-938b-1c3a5d665771">
        <nova:memory>2048</nova:memory>
        <nova:disk>20</nova:disk>
        <nova:swap>0</nova:swap>
        <nova:ephemeral>0</nova:ephemeral>
        <nova:vcpus>2</nova:vcpus>
      </nova:flavor>
      <nova:owner>
        <nova:user uuid="18509018d00743c89518135e476003e0">admin</nova:user>
        <nova:project uuid="38bd8e984a3e435a87e950a441ee55aa">demo</nova:project>
      </nova:owner>
      <nova:root type="image" uuid="155d900f-4e14-4e4c-a73d-069cbf4541e6"/>
    </nova:instance>
  </metadata>
  <memory unit="KiB">2097152</memory>
  <vcpu>2</vcpu>
  <os><type arch="x86_64" machine="pc-q35-7.2">hvm</type></os>
  <devices>
    <disk type="block" device="disk">
      <driver name="qemu" type="raw" cache="none" io="native"/>
      <source dev="/dev/sdb"/>
      <target dev="vda" bus="virtio"/>
      <iotune><total_bytes_sec>104857600</total_bytes_sec><total_iops_sec>500</total_iops_sec></iotune>
      <serial>49b64a08-72e6-4c3a-babc-ed2057ee05cd</serial>
    </disk>
    <interface type="bridge">
      <mac address="fa:16:3e:d6:54:af"/>
      <source bridge="br-int"/>
      <target dev="tap567a4527-b0"/>
      <model type="virtio"/>
      <bandwidth><inbound average="12500"/><outbound average="12500"/></bandwidth>
    </interface>
  </devices>
</domain>`;

/** What KVM counts of an instance, by the end of the fields. Source: kvm_vm_stats_desc in arch/x86/kvm/x86.c of Linux 6. */
const KVM_INSTANCE: Readonly<Record<string, string>> = {
  sum: "mmu_shadow_zapped mmu_pte_write mmu_pde_zapped mmu_flooded mmu_recycled mmu_cache_miss " +
    "remote_tlb_flush remote_tlb_flush_requests",
  cur: "mmu_unsync pages_4k pages_2m pages_1g nx_lpage_splits",
  max: "max_mmu_rmap_size max_mmu_page_hash_collisions",
};

/** What KVM counts of a vCPU, but for histograms. Source: kvm_vcpu_stats_desc, likewise. */
const KVM_VIRTUAL_CPU: Readonly<Record<string, string>> = {
  sum:
    "halt_successful_poll halt_attempted_poll halt_poll_invalid halt_wakeup halt_poll_success_ns " +
    "halt_poll_fail_ns halt_wait_ns pf_taken pf_fixed pf_emulate pf_spurious pf_fast " +
    "pf_mmio_spte_created pf_guest tlb_flush invlpg exits io_exits mmio_exits signal_exits " +
    "irq_window_exits nmi_window_exits l1d_flush halt_exits request_irq_exits irq_exits " +
    "host_state_reload fpu_reload insn_emulation insn_emulation_fail hypercalls irq_injections " +
    "nmi_injections req_event nested_run directed_yield_attempted directed_yield_successful " +
    "preemption_reported preemption_other notify_window_exits",
  cur: "blocking guest_mode",
};

/** Fields that the sample lacks, though families come from them. It has all others, so a new family needs nothing here. */
const LACKING: readonly RegExp[] = [
  // QEMU counts no errors, nobody has set a threshold, and no disk has zones.
  /^block\.N\.(errors|threshold)$/,
  /^block\.N\.latency_histogram\.zone_append\./,
  // Limits that only some storage has.
  /^block\.N\.limits\.(discard|write_zeroes|transfer|iov_hw)/,
  /^perf\.(?!cpu_cycles$|instructions$)/,
  // Of a backup, and of a device that the sample does not have.
  /^job\.(disk_temp|vfio)_/,
];

/** The numbers that stand for an `N` behind these beginnings of a field; behind all others there is one device, number 0. */
const NUMBERS: readonly (readonly [beginning: RegExp, numbers: readonly number[]])[] = [
  [/(^|\.)vcpu\.$/, [0, 1]],
  [/^iothread\.$/, [1]],
  [/\.bin\.$/, [0, 1, 2, 3]],
];

/** The fields that stand for one with `N` and `*` in it. */
function spellOut(field: string): readonly string[] {
  const place = field.search(/(?<=^|\.)[N*](?=\.|$)/);
  if (place === -1) return [field];
  const [beginning, end] = [field.slice(0, place), field.slice(place + 1)];
  const parts = field[place] === "*"
    ? hypervisorNames(beginning, end)
    : NUMBERS.find(([form]) => form.test(beginning))?.[1] ?? [0];
  return parts.flatMap((part) => spellOut(`${beginning}${part}${end}`));
}

function hypervisorNames(beginning: string, end: string): readonly string[] {
  const names = beginning === "vm." ? KVM_INSTANCE : KVM_VIRTUAL_CPU;
  return names[end.slice(1)]?.split(" ") ?? [];
}

/** The fields of the sample: all that families come from, but for {@linkcode LACKING} and names. */
function sampleFields(): readonly string[] {
  const fields = COLLECTORS.flatMap(({ families }) => families.flatMap(sourceFields));
  return [...new Set(fields)]
    .filter((field) => !field.endsWith(".name") && !LACKING.some((form) => form.test(field)))
    .flatMap(spellOut);
}

/** The sample's instance; each of its numbers is 1. */
const SAMPLE_INSTANCE: FakeDomain = {
  uuid: UUID,
  id: 1,
  name: "instance-0000002a",
  xml: XML,
  numbers: Object.fromEntries(sampleFields().map((field) => [field, 1])),
  texts: {
    "block.0.name": "vda",
    "net.0.name": "tap567a4527-b0",
    "cpu.cache.monitor.0.name": "vcpus_0-1",
    "memory.bandwidth.monitor.0.name": "vcpus_0-1",
    "cpu.energy.monitor.0.name": "vcpus_0-1",
  },
};

function numbered(names: string): Readonly<Record<string, number>> {
  return Object.fromEntries(names.split(" ").map((name) => [name, 1]));
}

/** What the sample's host has; each number is 1. */
const SAMPLE_ENTITIES: readonly HostEntity[] = [
  {
    kind: "node",
    texts: { model: "x86_64", type: "QEMU" },
    numbers: numbered(
      "memory cpus megahertz nodes sockets cores threads cpu.user cpu.kernel cpu.idle cpu.iowait " +
        "cpu.intr memory.total memory.free memory.buffers memory.cached version.hypervisor " +
        "version.daemon version.client",
    ),
  },
  { kind: "cell", texts: {}, numbers: numbered("cell memory.total memory.free") },
  {
    kind: "storage_pool",
    texts: { name: "default", uuid: UUID },
    numbers: numbered("state capacity allocation available volumes autostart persistent"),
  },
  {
    kind: "storage_volume",
    texts: { pool: "default", name: "base.img" },
    numbers: numbered("type capacity allocation"),
  },
  {
    kind: "network",
    texts: { name: "default", uuid: UUID, bridge: "virbr0" },
    numbers: numbered("active autostart persistent dhcp_leases"),
  },
];

/** A hypervisor with the sample instance; a call has failed, so that all families about the exporter have samples. */
function sampleHypervisor(): FakeHypervisor {
  const hypervisor = new FakeHypervisor([SAMPLE_INSTANCE]);
  hypervisor.entities = [...SAMPLE_ENTITIES];
  hypervisor.callTimes = [{ call: "virDomainMemoryStats", count: 1, seconds: 0.001 }];
  hypervisor.failures = [{
    call: "virDomainMemoryStats",
    code: 9,
    origin: 10,
    message: "sample",
    count: 1,
  }];
  return hypervisor;
}

/** The families of the sample's page, in the text format, with those about the exporter itself. */
export async function samplePage(
  collectors: readonly Collector[],
): Promise<ReadonlyMap<string, ParsedFamily>> {
  const options = scraperOptions(sampleHypervisor(), collectors, { startSecondsOf: () => 1 });
  const collection = await new Scraper(options).scrape();
  return parsePage(decodePage(collection.page("text")));
}

/** How many series collectors have. */
export interface SeriesCount {
  readonly perInstance: number;
  readonly perHost: number;
}

/** How many series each collector has on the sample's page, by its name. */
export async function countSeries(
  collectors: readonly Collector[],
): Promise<ReadonlyMap<string, SeriesCount>> {
  const page = await samplePage(collectors);
  const samples = (families: readonly { readonly name: string }[]): number =>
    families.reduce((sum, { name }) => sum + (page.get(name)?.samples.length ?? 0), 0);
  return new Map(
    collectors.map(({ name, families, hostFamilies = [] }) => [
      name,
      { perInstance: samples(families), perHost: samples(hostFamilies) },
    ]),
  );
}
