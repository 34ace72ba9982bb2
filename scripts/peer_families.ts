/**
 * The families of other exporters of libvirt, and what this one has for them. Names, labels and units were read from their
 * code in 2026.
 *
 * @module
 */

/** A family of another exporter. */
export interface PeerFamily {
  readonly name: string;
  /** The same in PromQL of this exporter's families. */
  readonly ours: string;
  /** What differs besides the identity labels; empty when nothing does. */
  readonly note: string;
}

/** Another exporter. */
export interface PeerExporter {
  /** What it is called. */
  readonly name: string;
  /** The file in contrib/prometheus/migration_rules/ that has its names; undefined when none is needed. */
  readonly rules: string | undefined;
  /** What its labels correspond to: its label, and ours. */
  readonly labels: readonly (readonly [theirs: string, ours: string])[];
  readonly families: readonly PeerFamily[];
}

const INSTANCE = "libvirt_nova_instance_";

/** Rows whose names begin alike: the rest of their name, the rest of ours or, with a blank, an expression; a note. */
type Row = readonly [theirs: string, ours: string, note?: string];

function rows(prefix: string, list: readonly Row[]): readonly PeerFamily[] {
  return list.map(([theirs, ours, note = ""]) => ({
    name: `${prefix}${theirs}`,
    ours: ours.includes("libvirt_nova_") ? ours : `${INSTANCE}${ours}`,
    note,
  }));
}

const SHUT_OFF = "those that are shut off only with `--domain.inactive`";
const PAGING = "collector `paging`";
const CPU_TIME =
  "the cgroup's figure, as the scheduler counts it, where theirs is the process's; both only grow";
const NO_ZERO = "no sample where theirs is an invented 0";
const BURST = "collector `block_tune`; no sample where no limit is set, where theirs is 0";
const CAPACITY = "collector `block_capacity`";
const VCPU = "collector `vcpu`";
const POOL = "collector `storage_pool`";
const JOB = "collector `job`";

const INTERFACES: readonly Row[] = ["receive", "transmit"].flatMap((direction) =>
  ["bytes", "packets", "errors", "drops"].map((what): Row => [
    `${direction}_${what}_total`,
    `interface_${direction}_${what}_total`,
  ])
);

const BLOCK_COUNTERS: readonly Row[] = [
  ["read_bytes_total", "block_read_bytes_total"],
  ["read_requests_total", "block_read_requests_total"],
  ["write_bytes_total", "block_written_bytes_total"],
  ["write_requests_total", "block_write_requests_total"],
  ["flush_requests_total", "block_flush_requests_total"],
];

const DOMAIN_INFO: readonly Row[] = [
  ["maximum_memory_bytes", "memory_maximum_bytes"],
  ["memory_usage_bytes", "memory_current_bytes", "what the balloon leaves, not what is in use"],
  ["virtual_cpus", "vcpus"],
  ["cpu_time_seconds_total", "cpu_seconds_total", CPU_TIME],
];

const POOLS: readonly Row[] = [
  ["state", "libvirt_nova_storage_pool_state_code", POOL],
  ["capacity_bytes", "libvirt_nova_storage_pool_capacity_bytes", POOL],
  ["allocation_bytes", "libvirt_nova_storage_pool_allocation_bytes", POOL],
  ["available_bytes", "libvirt_nova_storage_pool_available_bytes", POOL],
];

const inovex: PeerExporter = {
  name: "inovex/prometheus-libvirt-exporter",
  rules: "inovex.rules.yml",
  labels: [
    ["domain", "libvirtname"],
    ["target_device", "target_device"],
    ["vcpu", "vcpu"],
    ["storage_pool", "pool"],
    ["instance_name, project_name", "novaname, novaproject"],
    [
      "instance_id, flavor_name, user_name, user_id, project_id",
      "uuid, flavor, user, user_id, project_id of libvirt_nova_instance_info",
    ],
    [
      "os_type, os_type_arch, os_type_machine",
      "os_type, architecture, machine of libvirt_nova_instance_info",
    ],
    [
      "source_file, source_protocol, serial, target_bus, disk_type, driver_type, driver_cache, driver_discard",
      "source, protocol, volume_id, bus, source_type, driver, cache, discard of libvirt_nova_instance_block_info",
    ],
    [
      "interface_type, source_bridge, mac_address, model_type, mtu_size",
      "type, bridge, mac_address, model, mtu of libvirt_nova_instance_interface_info",
    ],
  ],
  families: [
    ...rows("libvirt_", [
      ["up", "libvirt_nova_up", "0 with a page where theirs is no sample"],
      ["domains", "sum without (state) (libvirt_nova_node_instances)", SHUT_OFF],
      ["domain_timed_out", "1 - libvirt_nova_instance_scrape_success"],
      ["domain_info", "info"],
      ["domain_openstack_info", "info"],
    ]),
    ...rows("libvirt_domain_info_", [
      ["state", "state_code", "the name of the state is in `libvirt_nova_instance_state_info`"],
      ...DOMAIN_INFO,
    ]),
    ...rows("libvirt_domain_job_info_", [
      ["type", "job_type_code", JOB],
      [
        "time_elapsed_seconds",
        "1000 * libvirt_nova_instance_job_elapsed_seconds",
        `${JOB}; theirs is milliseconds`,
      ],
      [
        "time_remaining_seconds",
        "1000 * libvirt_nova_instance_job_remaining_seconds",
        `${JOB}; theirs is milliseconds`,
      ],
      ...([["data", "data"], ["memory", "memory"], ["file", "disk"]] as const).flatMap(
        ([theirs, ours]) =>
          ["total", "processed", "remaining"].map((what): Row => [
            `${theirs}_${what}_bytes`,
            `job_${ours}_${what}_bytes`,
            JOB,
          ]),
      ),
    ]),
    ...rows("libvirt_domain_memory_stats_", [
      ["swap_in_bytes", "memory_swap_in_bytes_total", PAGING],
      ["swap_out_bytes", "memory_swap_out_bytes_total", PAGING],
      ["unused_bytes", "memory_unused_bytes"],
      ["available_bytes", "memory_available_bytes"],
      ["usable_bytes", "memory_usable_bytes"],
      ["rss_bytes", "memory_resident_bytes"],
      ["actual_balloon_bytes", "memory_current_bytes", "theirs never has samples"],
      ["current_balloon_bytes", "memory_current_bytes"],
      ["maximum_bytes", "memory_maximum_bytes"],
      ["disk_caches_bytes", "memory_disk_caches_bytes"],
      ["hugetlb_pgalloc_total", "memory_hugetlb_allocations_total", PAGING],
      ["hugetlb_pgfail_total", "memory_hugetlb_allocation_failures_total", PAGING],
      ["last_update_timestamp_seconds", "memory_last_update_timestamp_seconds"],
      ["major_fault_total", "memory_major_faults_total", PAGING],
      ["minor_fault_total", "memory_minor_faults_total", PAGING],
      [
        "used_percent",
        "100 * libvirt_nova_instance_memory_used_ratio",
        "no sample where theirs is NaN",
      ],
    ]),
    ...rows("libvirt_domain_block_stats_", [
      ["info", "block_info"],
      ...BLOCK_COUNTERS,
      ["read_time_seconds_total", "block_read_seconds_total"],
      ["write_time_seconds_total", "block_write_seconds_total"],
      ["flush_time_seconds_total", "block_flush_seconds_total"],
      ["capacity_bytes", "block_capacity_bytes", CAPACITY],
    ]),
    ...rows("libvirt_domain_interface_stats_", [["info", "interface_info"], ...INTERFACES]),
    ...rows("libvirt_domain_vcpu_", [
      ["current", "vcpus"],
      ["maximum", "vcpus_maximum"],
      ["state", "vcpu_state_code", VCPU],
      ["time_seconds_total", "vcpu_seconds_total", VCPU],
      ["wait_seconds_total", "vcpu_wait_seconds_total", VCPU],
      ["delay_seconds_total", "vcpu_steal_seconds_total", VCPU],
    ]),
    ...rows("libvirt_storage_pool_", POOLS),
  ],
};

const LIMITS: readonly Row[] = ["total", "read", "write"].flatMap((direction): readonly Row[] => [
  [`limit_${direction}_bytes`, `block_tune_${direction}_bytes_per_second`, BURST],
  [`limit_${direction}_requests`, `block_tune_${direction}_requests_per_second`, BURST],
  [`limit_burst_${direction}_bytes`, `block_tune_${direction}_burst_bytes_per_second`, BURST],
  [`limit_burst_${direction}_requests`, `block_tune_${direction}_burst_requests_per_second`, BURST],
  [
    `limit_burst_${direction}_bytes_length_seconds`,
    `block_tune_${direction}_burst_bytes_seconds`,
    BURST,
  ],
  [
    `limit_burst_length_${direction}_requests_seconds`,
    `block_tune_${direction}_burst_requests_seconds`,
    BURST,
  ],
]);

const tinkoff: PeerExporter = {
  name: "Tinkoff/libvirt-exporter",
  rules: "tinkoff.rules.yml",
  labels: [
    ["domain", "libvirtname"],
    ["target_device", "target_device"],
    ["vcpu", "vcpu"],
    ["pool", "pool"],
    ["instance_name, project_name", "novaname, novaproject"],
    [
      "uuid, flavor, user_name, user_uuid, project_uuid, root_type, root_uuid",
      "uuid, flavor, user, user_id, project_id, root_type, image_id of libvirt_nova_instance_info",
    ],
    [
      "source_file, serial, bus, disk_type, driver_type, cache, discard",
      "source, volume_id, bus, source_type, driver, cache, discard of libvirt_nova_instance_block_info",
    ],
    [
      "source_bridge, virtual_interface",
      "bridge, port_id of libvirt_nova_instance_interface_info",
    ],
    [
      "hypervisor_running, libvirtd_running, libvirt_library",
      "hypervisor_version, daemon_version, client_version of libvirt_nova_node_info",
    ],
  ],
  families: [
    ...rows("libvirt_", [
      ["up", "libvirt_nova_up"],
      ["versions_info", "libvirt_nova_node_info"],
    ]),
    ...rows("libvirt_domain_info_", [
      ["meta", "info", "the root's id is that of the image, or empty"],
      ...DOMAIN_INFO,
      ["vstate", "state_code", SHUT_OFF],
    ]),
    ...rows("libvirt_domain_vcpu_", [
      ["time_seconds_total", "vcpu_seconds_total", VCPU],
      ["delay_seconds_total", "vcpu_steal_seconds_total", VCPU],
      ["wait_seconds_total", "vcpu_wait_seconds_total", VCPU],
      ["state", "vcpu_state_code", VCPU],
      ["cpu", "vcpu_physical_cpu", VCPU],
    ]),
    ...rows("libvirt_domain_block_", [["meta", "block_info"]]),
    ...rows("libvirt_domain_block_stats_", [
      ...BLOCK_COUNTERS,
      ["read_time_seconds_total", "block_read_seconds_total"],
      ["write_time_seconds_total", "block_write_seconds_total"],
      ["flush_time_seconds_total", "block_flush_seconds_total"],
      ["allocation", "block_allocation_bytes", CAPACITY],
      ["capacity_bytes", "block_capacity_bytes", CAPACITY],
      ["physicalsize_bytes", "block_physical_bytes", CAPACITY],
      ...LIMITS,
      ["size_iops_bytes", "block_tune_request_size_bytes", BURST],
    ]),
    ...rows("libvirt_domain_interface_", [["meta", "interface_info"]]),
    ...rows("libvirt_domain_interface_stats_", INTERFACES),
    ...rows("libvirt_domain_memory_stats_", [
      ["major_fault_total", "memory_major_faults_total", `${PAGING}; ${NO_ZERO}`],
      ["minor_fault_total", "memory_minor_faults_total", `${PAGING}; ${NO_ZERO}`],
      ["unused_bytes", "memory_unused_bytes", NO_ZERO],
      ["available_bytes", "memory_available_bytes", NO_ZERO],
      ["actual_balloon_bytes", "memory_current_bytes", NO_ZERO],
      ["rss_bytes", "memory_resident_bytes", NO_ZERO],
      ["usable_bytes", "memory_usable_bytes", NO_ZERO],
      ["disk_cache_bytes", "memory_disk_caches_bytes", NO_ZERO],
      ["used_percent", "100 * libvirt_nova_instance_memory_used_ratio", NO_ZERO],
    ]),
    ...rows("libvirt_storage_pool_info_", POOLS),
  ],
};

const kumina: PeerExporter = {
  name: "kumina/libvirt_exporter",
  rules: "kumina.rules.yml",
  labels: [
    ["domain", "libvirtname"],
    ["target_device", "target_device"],
    ["source_file", "source of libvirt_nova_instance_block_info"],
    ["source_bridge", "bridge of libvirt_nova_instance_interface_info"],
  ],
  families: [
    ...rows("libvirt_", [["up", "libvirt_nova_up"]]),
    ...rows("libvirt_domain_info_", DOMAIN_INFO),
    ...rows("libvirt_domain_block_stats_", [
      ...BLOCK_COUNTERS,
      ["read_seconds_total", "block_read_seconds_total"],
      ["write_seconds_total", "block_write_seconds_total"],
      ["flush_seconds_total", "block_flush_seconds_total"],
    ]),
    ...rows("libvirt_domain_interface_stats_", INTERFACES),
  ],
};

const SAME = "the same name stays; in base units";
const KIB = "the same name stays; in bytes";
const SAME_UNIT = "the same name stays; with the names of the other families";

const seeds: PeerExporter = {
  name: "compendius/libvirt_nova_exporter_py and compendius/libvirt_nova_exporter",
  rules: undefined,
  labels: [
    ["libvirtname, novaname, novaproject", "the same"],
    ["iface, targetdev", "target_device"],
    ["macaddr", "mac_address of libvirt_nova_instance_interface_info"],
    [
      "cindervolume, disktype",
      "volume_id, source_type of libvirt_nova_instance_block_info",
    ],
  ],
  families: rows(INSTANCE, [
    ["cpu_time_total", "cpu_seconds_total", SAME],
    ["memory_alloc_kb", "memory_available_bytes", KIB],
    [
      "memory_cache_used_kb",
      "libvirt_nova_instance_memory_available_bytes - libvirt_nova_instance_memory_unused_bytes",
      KIB,
    ],
    ["memory_used_kb", "memory_used_bytes", KIB],
    ["vcpu_count", "vcpus_maximum", SAME_UNIT],
    ["total_vcpu", "vcpus_maximum", SAME_UNIT],
    ["rxbytes", "interface_receive_bytes_total", SAME_UNIT],
    ["txbytes", "interface_transmit_bytes_total", SAME_UNIT],
    ["rdbytes", "block_read_bytes_total", SAME_UNIT],
    ["wrbytes", "block_written_bytes_total", SAME_UNIT],
    ["rdreq", "block_read_requests_total", SAME_UNIT],
    ["wrreq", "block_write_requests_total", SAME_UNIT],
  ]),
};

/** The exporters that people come from. */
export const PEERS: readonly PeerExporter[] = [seeds, inovex, tinkoff, kumina];

/** The names of this exporter's families in an expression. */
export function familiesIn(expression: string): readonly string[] {
  return expression.match(/\blibvirt_nova_\w+/g) ?? [];
}
