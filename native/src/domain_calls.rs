//! The calls about one domain besides its bulk statistics. Their values have the names of the bulk statistics where
//! those have them.

use std::ffi::{CStr, c_int};
use std::ptr;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::allocated::{entries, take_text};
use crate::bindings;
use crate::call_log::CallLog;
use crate::caller::{Caller, call};
use crate::connection::Domain;
use crate::dictionary::Dictionary;
use crate::error::{LibvirtError, Result};
use crate::parameters::{Buffer, numbers};
use crate::row::{Row, signed_to_double, to_double};
use crate::threads::lock;

/// For how many vCPUs there is room: what every release's protocol takes (`REMOTE_VCPUINFO_MAX`).
const MAXIMUM_VCPUS: usize = 2048;

/// The bulk names of the parameters of virDomainGetCPUStats.
const CPU_FIELDS: [(&[u8], &str); 3] =
    [(b"cpu_time", "cpu.time"), (b"user_time", "cpu.user"), (b"system_time", "cpu.system")];

/// The bulk names of the parameters of virDomainBlockStatsFlags. Source: `VIR_DOMAIN_BLOCK_STATS_…` in libvirt-domain.h.
const BLOCK_KEYS: [(&[u8], &str); 9] = [
    (b"rd_operations", "rd.reqs"),
    (b"rd_bytes", "rd.bytes"),
    (b"rd_total_times", "rd.times"),
    (b"wr_operations", "wr.reqs"),
    (b"wr_bytes", "wr.bytes"),
    (b"wr_total_times", "wr.times"),
    (b"flush_operations", "fl.reqs"),
    (b"flush_total_times", "fl.times"),
    (b"errs", "errors"),
];

/// The bulk names of the tags of virDomainMemoryStats.
const MEMORY_FIELDS: [(u32, &str); 13] = [
    (bindings::VIR_DOMAIN_MEMORY_STAT_SWAP_IN, "balloon.swap_in"),
    (bindings::VIR_DOMAIN_MEMORY_STAT_SWAP_OUT, "balloon.swap_out"),
    (bindings::VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT, "balloon.major_fault"),
    (bindings::VIR_DOMAIN_MEMORY_STAT_MINOR_FAULT, "balloon.minor_fault"),
    (bindings::VIR_DOMAIN_MEMORY_STAT_UNUSED, "balloon.unused"),
    (bindings::VIR_DOMAIN_MEMORY_STAT_AVAILABLE, "balloon.available"),
    (bindings::VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON, "balloon.current"),
    (bindings::VIR_DOMAIN_MEMORY_STAT_RSS, "balloon.rss"),
    (bindings::VIR_DOMAIN_MEMORY_STAT_USABLE, "balloon.usable"),
    (bindings::VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE, "balloon.last-update"),
    (bindings::VIR_DOMAIN_MEMORY_STAT_DISK_CACHES, "balloon.disk_caches"),
    (bindings::VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGALLOC, "balloon.hugetlb_pgalloc"),
    (bindings::VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGFAIL, "balloon.hugetlb_pgfail"),
];

/// Which values of a disk are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskValues {
    /// Bytes, requests to read and write, and errors.
    Counters,
    /// Also times, and requests to flush.
    All,
}

/// Makes the calls about one domain in one task.
#[derive(Clone, Copy)]
pub struct DomainCaller<'a> {
    /// The domain.
    pub domain: &'a Domain,
    /// Makes the calls, on the domain's connection.
    pub caller: Caller<'a>,
}

impl<'a> DomainCaller<'a> {
    /// Where the calls are noted.
    pub fn log(&self) -> &'a CallLog {
        self.caller.log
    }

    /// The numbers of fields.
    pub fn dictionary(&self) -> MutexGuard<'a, Dictionary> {
        lock(self.caller.dictionary)
    }

    /// `cpu.time`, `cpu.user` and `cpu.system` in nanoseconds, from the domain's cgroup.
    ///
    /// # Errors
    /// What libvirt said.
    pub fn cpu_time(&self) -> Result<Row> {
        let mut parameters = Buffer::new(self.caller.library());
        let (buffer, room) = (parameters.pointer(), u32::from(Buffer::ROOM));
        // SAFETY: the domain is valid, and the buffer has the room that is passed; -1 and 1 ask for the total of all CPUs.
        let count = unsafe {
            call!(self.caller, virDomainGetCPUStats(self.pointer(), buffer, room, -1, 1, 0))
        }?;
        Ok(self.row(renamed(&CPU_FIELDS, numbers(parameters.first(count)))))
    }

    /// `balloon.…` in KiB as the guest reports it, for drivers without bulk statistics.
    ///
    /// # Errors
    /// What libvirt said.
    pub fn memory(&self) -> Result<Row> {
        const ROOM: u32 = bindings::VIR_DOMAIN_MEMORY_STAT_NR;
        let mut statistics = [bindings::virDomainMemoryStatStruct::default(); ROOM as usize];
        let buffer = statistics.as_mut_ptr();
        // SAFETY: the domain is valid, and the buffer has the room that is passed.
        let count =
            unsafe { call!(self.caller, virDomainMemoryStats(self.pointer(), buffer, ROOM, 0)) }?;
        let given = statistics.iter().take(count as usize);
        let tagged = given.map(|one| (one.tag.cast_unsigned(), to_double(one.val)));
        Ok(self.row(renamed(&MEMORY_FIELDS, tagged)))
    }

    /// `state.state`, for drivers without any bulk statistics.
    ///
    /// # Errors
    /// What libvirt said.
    pub fn state(&self) -> Result<Row> {
        Ok(self.row([("state.state", f64::from(self.read_information()?.state))]))
    }

    /// What the driver knows about the domain's size, for drivers without bulk statistics: `balloon.current` and
    /// `balloon.maximum` in KiB, and `vcpu.current` and `vcpu.maximum`.
    ///
    /// # Errors
    /// What libvirt said.
    pub fn information(&self) -> Result<Row> {
        let information = self.read_information()?;
        let mut row = self.row([
            ("vcpu.current", f64::from(information.nrVirtCpu)),
            ("balloon.current", to_double(information.memory)),
            ("balloon.maximum", to_double(information.maxMem)),
        ]);
        // SAFETY: the domain is valid.
        if let Ok(maximum) = unsafe { call!(self.caller, virDomainGetMaxVcpus(self.pointer())) } {
            row.append(self.row([("vcpu.maximum", f64::from(maximum))]));
        }
        Ok(row)
    }

    fn read_information(&self) -> Result<bindings::virDomainInfo> {
        // SAFETY: the domain is valid and the structure may be written to.
        unsafe { call!(self.caller, |place| virDomainGetInfo(self.pointer(), place)) }
    }

    /// `block.N.…` of one disk, named by its target device. One round trip of the monitor, where the bulk group
    /// takes several. Of the two calls there are, the older one has the counters only and is the cheaper: before the other,
    /// libvirt's client asks the daemon each time whether it understands texts (`VIR_DRV_FEATURE_TYPED_PARAM_STRING`, libvirt
    /// 9.0).
    ///
    /// # Errors
    /// What libvirt said.
    pub fn block(&self, index: usize, target: &CStr, wanted: DiskValues) -> Result<Row> {
        let lacks_parameters = &self.domain.connection.lacks_block_parameters;
        if wanted == DiskValues::All && !lacks_parameters.load(Ordering::Relaxed) {
            match self.block_parameters(index, target) {
                Err(error) if error.is(bindings::VIR_ERR_NO_SUPPORT) => {
                    lacks_parameters.store(true, Ordering::Relaxed);
                }
                other => return other,
            }
        }
        self.block_structure(index, target)
    }

    fn block_parameters(&self, index: usize, target: &CStr) -> Result<Row> {
        let (pointer, name) = (self.pointer(), target.as_ptr());
        let mut parameters = Buffer::new(self.caller.library());
        let (buffer, mut count) = (parameters.pointer(), c_int::from(Buffer::ROOM));
        let length = &raw mut count;
        // SAFETY: the domain is valid, the name is NUL-terminated, and the buffer has the room that `count` says.
        unsafe { call!(self.caller, virDomainBlockStatsFlags(pointer, name, buffer, length, 0)) }?;
        let values = renamed(&BLOCK_KEYS, numbers(parameters.first(count)));
        Ok(self.device(&format!("block.{index}"), target, values))
    }

    /// The older call.
    fn block_structure(&self, index: usize, target: &CStr) -> Result<Row> {
        let (pointer, name) = (self.pointer(), target.as_ptr());
        let size = size_of::<bindings::_virDomainBlockStats>();
        // SAFETY: the domain is valid, the name is NUL-terminated, and the structure has the size that is passed.
        let statistics =
            unsafe { call!(self.caller, |place| virDomainBlockStats(pointer, name, place, size)) }?;
        let values = [
            ("rd.reqs", statistics.rd_req),
            ("rd.bytes", statistics.rd_bytes),
            ("wr.reqs", statistics.wr_req),
            ("wr.bytes", statistics.wr_bytes),
            ("errors", statistics.errs),
        ];
        Ok(self.device(&format!("block.{index}"), target, as_doubles(values)))
    }

    /// `net.N.…` of one interface, named by its target device, for drivers without bulk statistics. Received is
    /// what the guest receives.
    ///
    /// # Errors
    /// What libvirt said.
    pub fn interface(&self, index: usize, target: &CStr) -> Result<Row> {
        let (pointer, name) = (self.pointer(), target.as_ptr());
        let size = size_of::<bindings::_virDomainInterfaceStats>();
        // SAFETY: the domain is valid, the name is NUL-terminated, and the structure has the size that is passed.
        let statistics = unsafe {
            call!(self.caller, |place| virDomainInterfaceStats(pointer, name, place, size))
        }?;
        let values = [
            ("rx.bytes", statistics.rx_bytes),
            ("rx.pkts", statistics.rx_packets),
            ("rx.errs", statistics.rx_errs),
            ("rx.drop", statistics.rx_drop),
            ("tx.bytes", statistics.tx_bytes),
            ("tx.pkts", statistics.tx_packets),
            ("tx.errs", statistics.tx_errs),
            ("tx.drop", statistics.tx_drop),
        ];
        Ok(self.device(&format!("net.{index}"), target, as_doubles(values)))
    }

    /// `vcpu.N.…` of the vCPUs that are online: their `cpu`, but for one that runs on no CPU of the host at the moment, and
    /// with `usage` their `state` and `time`, for drivers without bulk statistics.
    ///
    /// # Errors
    /// What libvirt said.
    pub fn vcpus(&self, usage: bool) -> Result<Row> {
        let mut vcpus = vec![bindings::virVcpuInfo::default(); MAXIMUM_VCPUS];
        let (buffer, room) = (vcpus.as_mut_ptr(), c_int::try_from(MAXIMUM_VCPUS));
        let (pointer, room, no_maps) = (self.pointer(), room.unwrap_or_default(), ptr::null_mut());
        // SAFETY: the domain is valid, and the buffer has the room that is passed; no maps are asked for.
        match unsafe { call!(self.caller, virDomainGetVcpus(pointer, buffer, room, no_maps, 0)) } {
            Ok(count) => vcpus.truncate(count as usize),
            // What QEMU's driver says while it does not know the guest's threads: as long as that starts or ends, and always
            // where QEMU has no thread for each vCPU (`qemuDomainHelperGetVcpus`, libvirt 9.0).
            Err(error) if error.is(bindings::VIR_ERR_OPERATION_INVALID) => vcpus.clear(),
            Err(error) => return Err(error),
        }
        Ok(self.row(vcpus.iter().flat_map(|vcpu| vcpu_fields(vcpu, usage))))
    }

    /// `job.type` (`virDomainJobType`), and `job.…` for the numbers that libvirt has about the job, under libvirt's names.
    /// Waits for the domain's job, and may ask the monitor.
    ///
    /// # Errors
    /// What libvirt said.
    pub fn job(&self) -> Result<Row> {
        let (mut kind, mut parameters, mut count) = (0, ptr::null_mut(), 0);
        let (to_kind, to_list, to_count) = (&raw mut kind, &raw mut parameters, &raw mut count);
        let pointer = self.pointer();
        // SAFETY: the domain is valid and all three may be written to.
        unsafe {
            call!(self.caller, virDomainGetJobStats(pointer, to_kind, to_list, to_count, 0))
        }?;
        // SAFETY: libvirt gave a list of `count` parameters.
        let given = numbers(unsafe { entries(parameters, count) });
        let named = given.map(|(name, value)| ([b"job.", name].concat(), value));
        let kind = (b"job.type".to_vec(), f64::from(kind));
        let row = self.row([kind].into_iter().chain(named));
        // SAFETY: the list is ours to free and is not used afterwards; null is allowed.
        unsafe { (self.caller.library().api.virTypedParamsFree)(parameters, count) };
        Ok(row)
    }

    /// `snapshot.count`.
    ///
    /// # Errors
    /// What libvirt said.
    pub fn snapshots(&self) -> Result<Row> {
        // SAFETY: the domain is valid; no flags.
        let count = unsafe { call!(self.caller, virDomainSnapshotNum(self.pointer(), 0)) }?;
        Ok(self.row([("snapshot.count", f64::from(count))]))
    }

    /// `checkpoint.count`; nothing from a client library that knows no checkpoints.
    ///
    /// # Errors
    /// What libvirt said.
    pub fn checkpoints(&self) -> Result<Row> {
        let Some(list) = self.caller.library().list_checkpoints else { return Ok(Row::default()) };
        // SAFETY: the domain is valid; a null list asks for the count alone; no flags.
        let ask = |_: &_| unsafe { list(self.pointer(), ptr::null_mut(), 0) };
        let count = self.caller.number("virDomainListAllCheckpoints", ask)?;
        Ok(self.row([("checkpoint.count", f64::from(count))]))
    }

    /// The domain's definition as XML, without secrets.
    ///
    /// # Errors
    /// What libvirt said.
    pub fn xml(&self) -> Result<String> {
        const CALL: &str = "virDomainGetXMLDesc";
        let library = self.caller.library();
        // SAFETY: the domain is valid; no flags.
        let read = || unsafe { (library.api.virDomainGetXMLDesc)(self.pointer(), 0) };
        // SAFETY: libvirt hands the text over, to be freed by `free()`.
        let text = unsafe { take_text(self.log().time(CALL, read)) };
        text.ok_or_else(|| LibvirtError::last(library, CALL))
    }

    /// Whether something is being done to the domain at this moment, as far as libvirt's daemon knows by itself: a call is at
    /// its monitor, or somebody has its job. Needs neither.
    ///
    /// # Errors
    /// What libvirt said.
    pub fn is_occupied(&self) -> Result<bool> {
        // SAFETY: the domain is valid and the structure may be written to; no flags.
        let information = unsafe {
            call!(self.caller, |place| virDomainGetControlInfo(self.pointer(), place, 0))
        }?;
        let busy = [bindings::VIR_DOMAIN_CONTROL_OCCUPIED, bindings::VIR_DOMAIN_CONTROL_JOB];
        Ok(busy.contains(&information.state))
    }

    /// Whether `error` came because the domain is no longer there. Only `NO_DOMAIN` says so by itself: a guest that ends
    /// while it is asked fails the call with whatever befell its monitor.
    pub fn has_gone(&self, error: &LibvirtError) -> bool {
        error.is(bindings::VIR_ERR_NO_DOMAIN) || error.code != 0 && self.has_ended()
    }

    /// Whether this run of the domain is known to be over. It may have been started again, which is another run.
    pub fn has_ended(&self) -> bool {
        match self.present_id() {
            Ok(present) => present != Some(self.domain.run.id),
            Err(error) if error.is(bindings::VIR_ERR_NO_DOMAIN) => true,
            Err(error) => error.is_unsupported() && self.is_inactive(),
        }
    }

    /// Whether the domain is known to run no longer, now or until then. Looks once at least, and often at first. What a
    /// connection that was lost said stays as it is.
    pub fn ends_until(&self, until: Instant) -> bool {
        let mut pause = Duration::from_millis(5);
        while !self.has_ended() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.log().is_closed() || !self.domain.connection.is_alive() {
                return false;
            }
            thread::sleep(pause.min(left));
            pause *= 2;
        }
        true
    }

    fn is_inactive(&self) -> bool {
        // SAFETY: the domain is valid; the call needs neither monitor nor job.
        match unsafe { call!(self.caller, virDomainIsActive(self.pointer())) } {
            Ok(is_active) => is_active == 0,
            Err(error) => error.is(bindings::VIR_ERR_NO_DOMAIN),
        }
    }

    fn pointer(&self) -> *mut bindings::virDomain {
        self.domain.pointer()
    }

    fn row<Field: AsRef<[u8]>>(&self, numbers: impl IntoIterator<Item = (Field, f64)>) -> Row {
        Row::of(&mut self.dictionary(), numbers)
    }

    /// What is known of one device, below `prefix`, with its name.
    fn device(
        &self,
        prefix: &str,
        target: &CStr,
        values: impl Iterator<Item = (&'static str, f64)>,
    ) -> Row {
        let named = values.map(|(key, value)| (format!("{prefix}.{key}"), value));
        let mut row = self.row(named.filter(is_known));
        let name = format!("{prefix}.name");
        row.text(&mut self.dictionary(), name.as_bytes(), target.to_bytes());
        row
    }
}

/// Negative values say that the driver does not know.
fn is_known<Field>((_, value): &(Field, f64)) -> bool {
    *value >= 0.0
}

fn as_doubles<const COUNT: usize>(
    values: [(&'static str, i64); COUNT],
) -> impl Iterator<Item = (&'static str, f64)> {
    values.into_iter().map(|(key, value)| (key, signed_to_double(value)))
}

/// The values under the names that a table has for them, but for those that have none.
fn renamed<'a, Name: PartialEq + 'a>(
    table: &'a [(Name, &'static str)],
    values: impl Iterator<Item = (Name, f64)> + 'a,
) -> impl Iterator<Item = (&'static str, f64)> + 'a {
    values.filter_map(|(name, value)| {
        let (_, other) = table.iter().find(|(known, _)| *known == name)?;
        Some((*other, value))
    })
}

fn vcpu_fields(vcpu: &bindings::virVcpuInfo, usage: bool) -> impl Iterator<Item = (String, f64)> {
    let (number, time) = (vcpu.number, to_double(vcpu.cpuTime));
    // The CPU is negative when it is offline, or the driver cannot tell.
    let values = [("cpu", f64::from(vcpu.cpu)), ("state", f64::from(vcpu.state)), ("time", time)];
    let wanted = values.into_iter().take(if usage { 3 } else { 1 });
    let named = wanted.map(move |(name, value)| (format!("vcpu.{number}.{name}"), value));
    named.filter(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vcpu_that_runs_nowhere_has_no_place() {
        let fields = |number, cpu| {
            let vcpu = bindings::virVcpuInfo { number, state: 1, cpuTime: 5, cpu };
            vcpu_fields(&vcpu, true).collect::<Vec<_>>()
        };
        let field = |name: &str, value| (String::from(name), value);
        assert_eq!(fields(2, -1), [field("vcpu.2.state", 1.0), field("vcpu.2.time", 5.0)]);
        assert_eq!(fields(7, -2), [field("vcpu.7.state", 1.0), field("vcpu.7.time", 5.0)]);
        assert_eq!(fields(0, 3)[..2], [field("vcpu.0.cpu", 3.0), field("vcpu.0.state", 1.0)]);
    }

    #[test]
    fn parameters_of_a_disk_that_have_no_bulk_name_are_left_out() {
        let given = [(&b"flush_total_times"[..], 1.0), (b"rd_latency_histogram", 2.0)];
        let renamed: Vec<_> = renamed(&BLOCK_KEYS, given.into_iter()).collect();
        assert_eq!(renamed, [("fl.times", 1.0)]);
    }

    #[test]
    fn what_libvirt_marks_unknown_is_left_out() {
        let values = [("errors", -1), ("rd.bytes", 0)];
        let known: Vec<_> = as_doubles(values).filter(is_known).collect();
        assert_eq!(known, [("rd.bytes", 0.0)]);
    }
}
