import { DomainCall } from "../../libvirt/hypervisor.ts";
import {
  type Collector,
  type Family,
  gaugeRows,
  INSTANCE,
  MILLISECONDS,
  PERCENT,
} from "../family.ts";

const gauge = gaugeRows("job", INSTANCE, "job.");

function amounts(what: "data" | "memory" | "disk", of: string): readonly Family[] {
  return [
    gauge(`${what}_total_bytes`, `${of} that the job moves`, "bytes", `${what}_total`),
    gauge(`${what}_processed_bytes`, `${of} that the job has moved`, "bytes", `${what}_processed`),
    gauge(
      `${what}_remaining_bytes`,
      `${of} that the job has yet to move`,
      "bytes",
      `${what}_remaining`,
    ),
  ];
}

/**
 * The job that libvirt does with an instance, such as a migration. All are gauges: they begin anew with each job.
 * Source: virDomainGetJobStats, the fields `VIR_DOMAIN_JOB_*` of libvirt 12.8.
 */
export const job: Collector = {
  name: "job",
  description: "the job at work on the instance, such as a migration, and its progress",
  byDefault: false,
  groups: 0,
  domainCalls: DomainCall.job,
  families: [
    gauge(
      "type_code",
      "Type of the job: 0 none, 1 with a known end, 2 without, 3 completed, 4 failed, 5 cancelled",
      "code",
      "type",
    ),
    gauge(
      "operation_code",
      "What the job does: 1 start, 2 save, 3 restore, 4 migration in, 5 migration out, " +
        "6 snapshot, 7 revert to a snapshot, 8 dump, 9 backup, 10 delete a snapshot, 0 unknown",
      "code",
      "operation",
    ),
    gauge("elapsed_seconds", "Time since the job began", "seconds", "time_elapsed", MILLISECONDS),
    gauge(
      "elapsed_net_seconds",
      "Time since a migration began, without that for handing over to the destination",
      "seconds",
      "time_elapsed_net",
      MILLISECONDS,
    ),
    gauge(
      "remaining_seconds",
      "Time that the job will take yet, as libvirt expects",
      "seconds",
      "time_remaining",
      MILLISECONDS,
    ),
    gauge(
      "downtime_seconds",
      "Time that the instance stands still during a migration",
      "seconds",
      "downtime",
      MILLISECONDS,
    ),
    gauge(
      "downtime_net_seconds",
      "Time that the instance stood still, without that for handing over to the destination",
      "seconds",
      "downtime_net",
      MILLISECONDS,
    ),
    gauge(
      "setup_seconds",
      "Time that the preparation of a migration took",
      "seconds",
      "setup_time",
      MILLISECONDS,
    ),
    ...amounts("data", "Data"),
    ...amounts("memory", "Memory"),
    ...amounts("disk", "Disk content"),
    gauge(
      "memory_constant_pages",
      "Pages that a migration sent as one value",
      "pages",
      "memory_constant",
    ),
    gauge("memory_normal_pages", "Pages that a migration sent whole", "pages", "memory_normal"),
    gauge(
      "memory_normal_bytes",
      "Bytes of the pages that a migration sent whole",
      "bytes",
      "memory_normal_bytes",
    ),
    gauge(
      "memory_bytes_per_second",
      "Speed at which memory is moved",
      "bytes per second",
      "memory_bps",
    ),
    gauge(
      "memory_dirty_pages_per_second",
      "Speed at which the guest changes memory",
      "pages per second",
      "memory_dirty_rate",
    ),
    gauge("memory_page_size_bytes", "Size of the pages", "bytes", "memory_page_size"),
    gauge(
      "memory_iteration",
      "How often a migration has gone through the memory",
      "number",
      "memory_iteration",
    ),
    gauge(
      "memory_postcopy_requests",
      "Pages that the destination of a post-copy migration asked for",
      "pages",
      "memory_postcopy_requests",
    ),
    gauge(
      "disk_bytes_per_second",
      "Speed at which disks are moved",
      "bytes per second",
      "disk_bps",
    ),
    gauge(
      "disk_temporary_used_bytes",
      "Temporary disk space that a backup uses",
      "bytes",
      "disk_temp_used",
    ),
    gauge(
      "disk_temporary_total_bytes",
      "Temporary disk space that a backup may use",
      "bytes",
      "disk_temp_total",
    ),
    gauge(
      "compression_cache_bytes",
      "Size of the cache for a migration's compression",
      "bytes",
      "compression_cache",
    ),
    gauge(
      "compression_cache_misses",
      "Pages that changed and were not in the cache for compression",
      "pages",
      "compression_cache_misses",
    ),
    gauge(
      "compression_overflows",
      "Pages that compression would not have made smaller, and which were sent whole",
      "pages",
      "compression_overflow",
    ),
    gauge(
      "compression_bytes",
      "Bytes of compressed pages that a migration sent",
      "bytes",
      "compression_bytes",
    ),
    gauge(
      "compression_pages",
      "Compressed pages that a migration sent",
      "pages",
      "compression_pages",
    ),
    gauge(
      "auto_converge_throttle_ratio",
      "Share by which the vCPUs are slowed down so that a migration can end",
      "ratio",
      "auto_converge_throttle",
      PERCENT,
    ),
  ],
};
