import { DomainCall } from "../../libvirt/hypervisor.ts";
import { type Collector, gaugeRows, INSTANCE, MILLISECONDS, PERCENT } from "../family.ts";

const gauge = gaugeRows(INSTANCE, "job.");

/**
 * The job that libvirt does with an instance, such as a migration. All are gauges: they begin anew with each job.
 * Source: virDomainGetJobStats, the fields `VIR_DOMAIN_JOB_*`.
 */
export const job: Collector = {
  name: "job",
  description: "the job at work on the instance, such as a migration, and its progress",
  byDefault: false,
  groups: 0,
  domainCalls: DomainCall.job,
  families: [
    gauge(
      "libvirt_nova_instance_job_type_code",
      "Type of the job: 0 none, 1 with a known end, 2 without, 3 completed, 4 failed, 5 cancelled",
      "code",
      "type",
    ),
    gauge(
      "libvirt_nova_instance_job_operation_code",
      "What the job does: 1 start, 2 save, 3 restore, 4 migration in, 5 migration out, " +
        "6 snapshot, 7 revert to a snapshot, 8 dump, 9 backup, 10 delete a snapshot, 0 unknown",
      "code",
      "operation",
    ),
    gauge(
      "libvirt_nova_instance_job_elapsed_seconds",
      "Time since the job began",
      "seconds",
      "time_elapsed",
      MILLISECONDS,
    ),
    gauge(
      "libvirt_nova_instance_job_elapsed_net_seconds",
      "Time since a migration began, without that for handing over to the destination",
      "seconds",
      "time_elapsed_net",
      MILLISECONDS,
    ),
    gauge(
      "libvirt_nova_instance_job_remaining_seconds",
      "Time that the job will take yet, as libvirt expects",
      "seconds",
      "time_remaining",
      MILLISECONDS,
    ),
    gauge(
      "libvirt_nova_instance_job_downtime_seconds",
      "Time that the instance stands still during a migration",
      "seconds",
      "downtime",
      MILLISECONDS,
    ),
    gauge(
      "libvirt_nova_instance_job_downtime_net_seconds",
      "Time that the instance stood still, without that for handing over to the destination",
      "seconds",
      "downtime_net",
      MILLISECONDS,
    ),
    gauge(
      "libvirt_nova_instance_job_setup_seconds",
      "Time that the preparation of a migration took",
      "seconds",
      "setup_time",
      MILLISECONDS,
    ),
    gauge(
      "libvirt_nova_instance_job_data_total_bytes",
      "Data that the job moves",
      "bytes",
      "data_total",
    ),
    gauge(
      "libvirt_nova_instance_job_data_processed_bytes",
      "Data that the job has moved",
      "bytes",
      "data_processed",
    ),
    gauge(
      "libvirt_nova_instance_job_data_remaining_bytes",
      "Data that the job has yet to move",
      "bytes",
      "data_remaining",
    ),
    gauge(
      "libvirt_nova_instance_job_memory_total_bytes",
      "Memory that the job moves",
      "bytes",
      "memory_total",
    ),
    gauge(
      "libvirt_nova_instance_job_memory_processed_bytes",
      "Memory that the job has moved",
      "bytes",
      "memory_processed",
    ),
    gauge(
      "libvirt_nova_instance_job_memory_remaining_bytes",
      "Memory that the job has yet to move",
      "bytes",
      "memory_remaining",
    ),
    gauge(
      "libvirt_nova_instance_job_disk_total_bytes",
      "Disk content that the job moves",
      "bytes",
      "disk_total",
    ),
    gauge(
      "libvirt_nova_instance_job_disk_processed_bytes",
      "Disk content that the job has moved",
      "bytes",
      "disk_processed",
    ),
    gauge(
      "libvirt_nova_instance_job_disk_remaining_bytes",
      "Disk content that the job has yet to move",
      "bytes",
      "disk_remaining",
    ),
    gauge(
      "libvirt_nova_instance_job_memory_constant_pages",
      "Pages that a migration sent as one value",
      "pages",
      "memory_constant",
    ),
    gauge(
      "libvirt_nova_instance_job_memory_normal_pages",
      "Pages that a migration sent whole",
      "pages",
      "memory_normal",
    ),
    gauge(
      "libvirt_nova_instance_job_memory_normal_bytes",
      "Bytes of the pages that a migration sent whole",
      "bytes",
      "memory_normal_bytes",
    ),
    gauge(
      "libvirt_nova_instance_job_memory_bytes_per_second",
      "Speed at which memory is moved",
      "bytes per second",
      "memory_bps",
    ),
    gauge(
      "libvirt_nova_instance_job_memory_dirty_pages_per_second",
      "Speed at which the guest changes memory",
      "pages per second",
      "memory_dirty_rate",
    ),
    gauge(
      "libvirt_nova_instance_job_memory_page_size_bytes",
      "Size of the pages",
      "bytes",
      "memory_page_size",
    ),
    gauge(
      "libvirt_nova_instance_job_memory_iteration",
      "How often a migration has gone through the memory",
      "number",
      "memory_iteration",
    ),
    gauge(
      "libvirt_nova_instance_job_memory_postcopy_requests",
      "Pages that the destination of a post-copy migration asked for",
      "pages",
      "memory_postcopy_requests",
    ),
    gauge(
      "libvirt_nova_instance_job_disk_bytes_per_second",
      "Speed at which disks are moved",
      "bytes per second",
      "disk_bps",
    ),
    gauge(
      "libvirt_nova_instance_job_disk_temporary_used_bytes",
      "Temporary disk space that a backup uses",
      "bytes",
      "disk_temp_used",
    ),
    gauge(
      "libvirt_nova_instance_job_disk_temporary_total_bytes",
      "Temporary disk space that a backup may use",
      "bytes",
      "disk_temp_total",
    ),
    gauge(
      "libvirt_nova_instance_job_compression_cache_bytes",
      "Size of the cache for a migration's compression",
      "bytes",
      "compression_cache",
    ),
    gauge(
      "libvirt_nova_instance_job_compression_cache_misses",
      "Pages that changed and were not in the cache for compression",
      "pages",
      "compression_cache_misses",
    ),
    gauge(
      "libvirt_nova_instance_job_compression_overflows",
      "Pages that compression would not have made smaller, and which were sent whole",
      "pages",
      "compression_overflow",
    ),
    gauge(
      "libvirt_nova_instance_job_compression_bytes",
      "Bytes of compressed pages that a migration sent",
      "bytes",
      "compression_bytes",
    ),
    gauge(
      "libvirt_nova_instance_job_compression_pages",
      "Compressed pages that a migration sent",
      "pages",
      "compression_pages",
    ),
    gauge(
      "libvirt_nova_instance_job_auto_converge_throttle_ratio",
      "Share by which the vCPUs are slowed down so that a migration can end",
      "ratio",
      "auto_converge_throttle",
      PERCENT,
    ),
    gauge(
      "libvirt_nova_instance_job_vfio_data_transferred_bytes",
      "Data of VFIO devices that a migration has moved",
      "bytes",
      "vfio_data_transferred",
    ),
  ],
};
