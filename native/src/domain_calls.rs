//! The calls about one domain besides its bulk statistics. Their values have the names of the bulk statistics where
//! those have them.

use std::ffi::{CString, c_int};
use std::mem::MaybeUninit;
use std::ptr;
use std::slice;
use std::thread;
use std::time::{Duration, Instant};

use crate::allocated;
use crate::bindings;
use crate::bulk;
use crate::call_times::CallLog;
use crate::connection::Domain;
use crate::dictionary::Dictionary;
use crate::error::{LibvirtError, code};
use crate::parameters::{Buffer, Value, field_name, to_double, value_of};
use crate::row::{Row, SharedDictionary, lock};

/// For how many vCPUs there is room at first.
const VCPUS: usize = 128;

/// For how many vCPUs there is room at most: what every release's protocol takes (`REMOTE_VCPUINFO_MAX`).
const MAXIMUM_VCPUS: usize = 2048;

/// Which values of vCPUs are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VcpuValues {
    /// `vcpu.N.cpu`.
    pub placement: bool,
    /// `vcpu.N.state` and `vcpu.N.time`, for drivers without bulk statistics.
    pub usage: bool,
}

/// Which values of `virDomainGetInfo` are wanted, for drivers without bulk statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InformationValues {
    /// `balloon.current` and `balloon.maximum` in KiB.
    pub balloon: bool,
    /// `vcpu.current` and `vcpu.maximum`.
    pub vcpus: bool,
}

/// Which values of a disk are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskValues {
    /// Bytes, requests to read and write, and errors.
    Counters,
    /// Also times, and requests to flush.
    All,
}

/// `cpu.time`, `cpu.user` and `cpu.system` in nanoseconds, from the domain's cgroup.
///
/// # Errors
/// What libvirt said.
pub fn cpu_time(
    domain: &Domain,
    log: &CallLog,
    dictionary: &SharedDictionary,
) -> Result<Row, LibvirtError> {
    const CALL: &str = "virDomainGetCPUStats";
    let mut parameters = Buffer::new(domain.library());
    let count = log.time(CALL, || {
        // SAFETY: the domain is valid, and the buffer has the room that is passed; -1 and 1 ask for the total of all
        // CPUs.
        unsafe {
            (domain.library().api.virDomainGetCPUStats)(
                domain.pointer(),
                parameters.pointer(),
                u32::from(Buffer::ROOM),
                -1,
                1,
                0,
            )
        }
    });
    if count < 0 {
        return Err(LibvirtError::last(domain.library(), CALL));
    }
    let mut row = Row::default();
    let mut dictionary = lock(dictionary);
    for parameter in parameters.first(count) {
        let field: &[u8] = match field_name(parameter) {
            b"cpu_time" => b"cpu.time",
            b"user_time" => b"cpu.user",
            b"system_time" => b"cpu.system",
            _ => continue,
        };
        if let Value::Number(value) = value_of(parameter) {
            row.number(&mut dictionary, field, value);
        }
    }
    Ok(row)
}

/// `balloon.…` in KiB as the guest reports it, for drivers without bulk statistics.
///
/// # Errors
/// What libvirt said.
pub fn memory(
    domain: &Domain,
    log: &CallLog,
    dictionary: &SharedDictionary,
) -> Result<Row, LibvirtError> {
    const CALL: &str = "virDomainMemoryStats";
    let empty = bindings::virDomainMemoryStatStruct { tag: 0, val: 0 };
    let mut statistics = [empty; bindings::VIR_DOMAIN_MEMORY_STAT_NR as usize];
    let count = log.time(CALL, || {
        // SAFETY: the buffer holds VIR_DOMAIN_MEMORY_STAT_NR entries.
        unsafe {
            (domain.library().api.virDomainMemoryStats)(
                domain.pointer(),
                statistics.as_mut_ptr(),
                bindings::VIR_DOMAIN_MEMORY_STAT_NR,
                0,
            )
        }
    });
    let Ok(count) = usize::try_from(count) else {
        return Err(LibvirtError::last(domain.library(), CALL));
    };
    let mut row = Row::default();
    let mut dictionary = lock(dictionary);
    for statistic in statistics.iter().take(count) {
        if let Some(field) = memory_field(statistic.tag.cast_unsigned()) {
            row.number(&mut dictionary, field.as_bytes(), to_double(statistic.val));
        }
    }
    Ok(row)
}

/// `state.state`, for drivers without any bulk statistics.
///
/// # Errors
/// What libvirt said.
pub fn state(
    domain: &Domain,
    log: &CallLog,
    dictionary: &SharedDictionary,
) -> Result<Row, LibvirtError> {
    let information = read_information(domain, log)?;
    let mut row = Row::default();
    row.number(&mut lock(dictionary), b"state.state", f64::from(information.state));
    Ok(row)
}

/// What the driver knows about the domain's size.
///
/// # Errors
/// What libvirt said.
pub fn information(
    domain: &Domain,
    wanted: InformationValues,
    log: &CallLog,
    dictionary: &SharedDictionary,
) -> Result<Row, LibvirtError> {
    const MAXIMUM: &str = "virDomainGetMaxVcpus";
    let information = read_information(domain, log)?;
    let mut row = Row::default();
    if wanted.vcpus {
        let maximum = log.time(MAXIMUM, || {
            // SAFETY: the domain is valid.
            unsafe { (domain.library().api.virDomainGetMaxVcpus)(domain.pointer()) }
        });
        let mut dictionary = lock(dictionary);
        row.known(&mut dictionary, "vcpu.current", i64::from(information.nrVirtCpu));
        row.known(&mut dictionary, "vcpu.maximum", i64::from(maximum));
    }
    if wanted.balloon {
        let mut dictionary = lock(dictionary);
        row.number(&mut dictionary, b"balloon.current", to_double(information.memory));
        row.number(&mut dictionary, b"balloon.maximum", to_double(information.maxMem));
    }
    Ok(row)
}

fn read_information(
    domain: &Domain,
    log: &CallLog,
) -> Result<bindings::virDomainInfo, LibvirtError> {
    const CALL: &str = "virDomainGetInfo";
    let mut information = MaybeUninit::<bindings::virDomainInfo>::zeroed();
    let result = log.time(CALL, || {
        // SAFETY: the domain is valid and the structure may be written to.
        unsafe {
            (domain.library().api.virDomainGetInfo)(domain.pointer(), information.as_mut_ptr())
        }
    });
    if result < 0 {
        return Err(LibvirtError::last(domain.library(), CALL));
    }
    // SAFETY: a zeroed structure of integers is valid, and libvirt has filled it.
    Ok(unsafe { information.assume_init() })
}

/// `block.N.…` of one disk, named by its target device. One round trip of the monitor, where the bulk group
/// takes several. Of the two calls there are, the older one has the counters only and is the cheaper: before the other,
/// libvirt's client asks the daemon each time whether it understands texts (`VIR_DRV_FEATURE_TYPED_PARAM_STRING`, libvirt
/// 9.0).
///
/// # Errors
/// What libvirt said.
pub fn block(
    domain: &Domain,
    index: usize,
    target: &str,
    wanted: DiskValues,
    log: &CallLog,
    dictionary: &SharedDictionary,
) -> Result<Row, LibvirtError> {
    if wanted == DiskValues::All && domain.connection().knows_block_parameters() {
        match block_parameters(domain, index, target, log, dictionary) {
            Err(error) if error.code == code::NO_SUPPORT => {
                domain.connection().forget_block_parameters();
            }
            other => return other,
        }
    }
    block_structure(domain, index, target, log, dictionary)
}

fn block_parameters(
    domain: &Domain,
    index: usize,
    target: &str,
    log: &CallLog,
    dictionary: &SharedDictionary,
) -> Result<Row, LibvirtError> {
    const CALL: &str = "virDomainBlockStatsFlags";
    let name = c_name(CALL, target)?;
    let mut parameters = Buffer::new(domain.library());
    let mut count = c_int::from(Buffer::ROOM);
    let result = log.time(CALL, || {
        // SAFETY: the domain is valid, the name is NUL-terminated, and the buffer has the room that `count` says.
        unsafe {
            (domain.library().api.virDomainBlockStatsFlags)(
                domain.pointer(),
                name.as_ptr(),
                parameters.pointer(),
                &raw mut count,
                0,
            )
        }
    });
    if result < 0 {
        return Err(LibvirtError::last(domain.library(), CALL));
    }
    let mut row = Row::default();
    let mut dictionary = lock(dictionary);
    let dictionary = &mut *dictionary;
    row.text(dictionary, format!("block.{index}.name").as_bytes(), target.as_bytes());
    for parameter in parameters.first(count) {
        if let Some(key) = block_key(field_name(parameter))
            && let Value::Number(value) = value_of(parameter)
            && value >= 0.0
        {
            row.number(dictionary, format!("block.{index}.{key}").as_bytes(), value);
        }
    }
    Ok(row)
}

/// The older call.
fn block_structure(
    domain: &Domain,
    index: usize,
    target: &str,
    log: &CallLog,
    dictionary: &SharedDictionary,
) -> Result<Row, LibvirtError> {
    const CALL: &str = "virDomainBlockStats";
    let name = c_name(CALL, target)?;
    let mut statistics = MaybeUninit::<bindings::_virDomainBlockStats>::zeroed();
    let result = log.time(CALL, || {
        // SAFETY: the name is NUL-terminated; the buffer has the size that is passed.
        unsafe {
            (domain.library().api.virDomainBlockStats)(
                domain.pointer(),
                name.as_ptr(),
                statistics.as_mut_ptr(),
                size_of_val(&statistics),
            )
        }
    });
    if result < 0 {
        return Err(LibvirtError::last(domain.library(), CALL));
    }
    // SAFETY: a zeroed structure of integers is valid, and libvirt has filled it.
    let statistics = unsafe { statistics.assume_init() };
    let values = [
        ("rd.reqs", statistics.rd_req),
        ("rd.bytes", statistics.rd_bytes),
        ("wr.reqs", statistics.wr_req),
        ("wr.bytes", statistics.wr_bytes),
        ("errors", statistics.errs),
    ];
    Ok(device_row(&format!("block.{index}"), target, &values, dictionary))
}

/// `net.N.…` of one interface, named by its target device, for drivers without bulk statistics. Received is
/// what the guest receives.
///
/// # Errors
/// What libvirt said.
pub fn interface(
    domain: &Domain,
    index: usize,
    target: &str,
    log: &CallLog,
    dictionary: &SharedDictionary,
) -> Result<Row, LibvirtError> {
    const CALL: &str = "virDomainInterfaceStats";
    let name = c_name(CALL, target)?;
    let mut statistics = MaybeUninit::<bindings::_virDomainInterfaceStats>::zeroed();
    let result = log.time(CALL, || {
        // SAFETY: the name is NUL-terminated; the buffer has the size that is passed.
        unsafe {
            (domain.library().api.virDomainInterfaceStats)(
                domain.pointer(),
                name.as_ptr(),
                statistics.as_mut_ptr(),
                size_of_val(&statistics),
            )
        }
    });
    if result < 0 {
        return Err(LibvirtError::last(domain.library(), CALL));
    }
    // SAFETY: a zeroed structure of integers is valid, and libvirt has filled it.
    let statistics = unsafe { statistics.assume_init() };
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
    Ok(device_row(&format!("net.{index}"), target, &values, dictionary))
}

/// What is known of one device, below `prefix`, with its name.
fn device_row(
    prefix: &str,
    target: &str,
    values: &[(&str, i64)],
    dictionary: &SharedDictionary,
) -> Row {
    let mut row = Row::default();
    let mut dictionary = lock(dictionary);
    row.text(&mut dictionary, format!("{prefix}.name").as_bytes(), target.as_bytes());
    for &(key, value) in values {
        row.known(&mut dictionary, &format!("{prefix}.{key}"), value);
    }
    row
}

/// `vcpu.N.…` of the vCPUs that are online. One that runs on no CPU of the host at the moment has no `cpu`.
///
/// # Errors
/// What libvirt said.
pub fn vcpus(
    domain: &Domain,
    wanted: VcpuValues,
    log: &CallLog,
    dictionary: &SharedDictionary,
) -> Result<Row, LibvirtError> {
    let mut vcpus = read_vcpus(domain, VCPUS, log)?;
    if vcpus.len() == VCPUS {
        vcpus = read_vcpus(domain, MAXIMUM_VCPUS, log)?;
    }
    Ok(vcpu_row(&vcpus, wanted, &mut lock(dictionary)))
}

fn read_vcpus(
    domain: &Domain,
    room: usize,
    log: &CallLog,
) -> Result<Vec<bindings::virVcpuInfo>, LibvirtError> {
    const CALL: &str = "virDomainGetVcpus";
    let empty = bindings::virVcpuInfo { number: 0, state: 0, cpuTime: 0, cpu: 0 };
    let mut vcpus = vec![empty; room];
    let count = log.time(CALL, || {
        // SAFETY: the buffer holds `room` entries; no maps are asked for.
        unsafe {
            (domain.library().api.virDomainGetVcpus)(
                domain.pointer(),
                vcpus.as_mut_ptr(),
                c_int::try_from(room).unwrap_or_default(),
                ptr::null_mut(),
                0,
            )
        }
    });
    let Ok(count) = usize::try_from(count) else {
        let error = LibvirtError::last(domain.library(), CALL);
        // What QEMU's driver says while it does not know the guest's threads: as long as that starts or ends, and always
        // where QEMU has no thread for each vCPU (`qemuDomainHelperGetVcpus`, libvirt 9.0).
        return if error.code == code::OPERATION_INVALID { Ok(Vec::new()) } else { Err(error) };
    };
    vcpus.truncate(count);
    Ok(vcpus)
}

fn vcpu_row(
    vcpus: &[bindings::virVcpuInfo],
    wanted: VcpuValues,
    dictionary: &mut Dictionary,
) -> Row {
    let mut row = Row::default();
    for vcpu in vcpus {
        let number = vcpu.number;
        if wanted.placement {
            // Negative ones say that it is offline, or that the driver cannot tell.
            row.known(dictionary, &format!("vcpu.{number}.cpu"), i64::from(vcpu.cpu));
        }
        if wanted.usage {
            row.known(dictionary, &format!("vcpu.{number}.state"), i64::from(vcpu.state));
            let field = format!("vcpu.{number}.time");
            row.number(dictionary, field.as_bytes(), to_double(vcpu.cpuTime));
        }
    }
    row
}

/// `job.type` (`virDomainJobType`), and `job.…` for the numbers that libvirt has about the job, under libvirt's names.
/// Waits for the domain's job, and may ask the monitor.
///
/// # Errors
/// What libvirt said.
pub fn job(
    domain: &Domain,
    log: &CallLog,
    dictionary: &SharedDictionary,
) -> Result<Row, LibvirtError> {
    const CALL: &str = "virDomainGetJobStats";
    let (mut kind, mut parameters, mut count) = (0, ptr::null_mut(), 0);
    let result = log.time(CALL, || {
        // SAFETY: the domain is valid and all three may be written to.
        unsafe {
            (domain.library().api.virDomainGetJobStats)(
                domain.pointer(),
                &raw mut kind,
                &raw mut parameters,
                &raw mut count,
                0,
            )
        }
    });
    if result < 0 {
        return Err(LibvirtError::last(domain.library(), CALL));
    }
    let mut row = Row::default();
    let mut dictionary = lock(dictionary);
    row.number(&mut dictionary, b"job.type", f64::from(kind));
    let given: &[bindings::virTypedParameter] = match usize::try_from(count) {
        // SAFETY: libvirt gave a list of `count` parameters.
        Ok(count) if count > 0 && !parameters.is_null() => unsafe {
            slice::from_raw_parts(parameters, count)
        },
        _ => &[],
    };
    for parameter in given {
        if let Value::Number(value) = value_of(parameter) {
            row.number(&mut dictionary, &[b"job.", field_name(parameter)].concat(), value);
        }
    }
    // SAFETY: the list is ours to free and is not used afterwards; null is allowed.
    unsafe { (domain.library().api.virTypedParamsFree)(parameters, count) };
    Ok(row)
}

/// `snapshot.count`.
///
/// # Errors
/// What libvirt said.
pub fn snapshots(
    domain: &Domain,
    log: &CallLog,
    dictionary: &SharedDictionary,
) -> Result<Row, LibvirtError> {
    const CALL: &str = "virDomainSnapshotNum";
    let count = log.time(CALL, || {
        // SAFETY: the domain is valid; no flags.
        unsafe { (domain.library().api.virDomainSnapshotNum)(domain.pointer(), 0) }
    });
    if count < 0 {
        return Err(LibvirtError::last(domain.library(), CALL));
    }
    let mut row = Row::default();
    row.number(&mut lock(dictionary), b"snapshot.count", f64::from(count));
    Ok(row)
}

/// `checkpoint.count`; nothing from a client library that knows no checkpoints.
///
/// # Errors
/// What libvirt said.
pub fn checkpoints(
    domain: &Domain,
    log: &CallLog,
    dictionary: &SharedDictionary,
) -> Result<Row, LibvirtError> {
    const CALL: &str = "virDomainListAllCheckpoints";
    let Some(list) = domain.library().list_checkpoints else { return Ok(Row::default()) };
    let count = log.time(CALL, || {
        // SAFETY: the domain is valid; a null list asks for the count alone; no flags.
        unsafe { list(domain.pointer(), ptr::null_mut(), 0) }
    });
    if count < 0 {
        return Err(LibvirtError::last(domain.library(), CALL));
    }
    let mut row = Row::default();
    row.number(&mut lock(dictionary), b"checkpoint.count", f64::from(count));
    Ok(row)
}

/// The domain's definition as XML, without secrets.
///
/// # Errors
/// What libvirt said.
pub fn xml(domain: &Domain, log: &CallLog) -> Result<String, LibvirtError> {
    const CALL: &str = "virDomainGetXMLDesc";
    let text = log.time(CALL, || {
        // SAFETY: the domain is valid; no flags.
        unsafe { (domain.library().api.virDomainGetXMLDesc)(domain.pointer(), 0) }
    });
    // SAFETY: libvirt hands the text over, to be freed by `free()`.
    unsafe { allocated::take_text(text) }.ok_or_else(|| LibvirtError::last(domain.library(), CALL))
}

/// Whether `error` came because the domain is no longer there. Only `NO_DOMAIN` says so by itself: a guest that
/// ends while it is asked fails the call with whatever befell its monitor, and `OPERATION_INVALID` is also what a
/// missing cgroup controller gives.
pub fn has_gone(domain: &Domain, error: &LibvirtError, log: &CallLog) -> bool {
    match error.code {
        code::NO_DOMAIN => true,
        code::NONE => false,
        _ => has_ended(domain, log),
    }
}

/// Whether this run of the domain is known to be over. It may have been started again, which is another run.
pub fn has_ended(domain: &Domain, log: &CallLog) -> bool {
    match bulk::present_id(domain, log) {
        Ok(present) => present != Some(domain.id()),
        Err(error) if error.code == code::NO_DOMAIN => true,
        Err(error) => error.is_unsupported() && is_inactive(domain, log),
    }
}

/// Whether the domain is known to run no longer, now or until then. Looks once at least, and often at first. What a
/// connection that was lost said stays as it is.
pub fn ends_until(domain: &Domain, until: Instant, log: &CallLog) -> bool {
    let mut pause = Duration::from_millis(5);
    loop {
        if has_ended(domain, log) {
            return true;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || log.is_closed() || !domain.connection().is_alive() {
            return false;
        }
        thread::sleep(pause.min(left));
        pause *= 2;
    }
}

fn is_inactive(domain: &Domain, log: &CallLog) -> bool {
    const CALL: &str = "virDomainIsActive";
    let is_active = log.time(CALL, || {
        // SAFETY: the domain is valid; the call needs neither monitor nor job.
        unsafe { (domain.library().api.virDomainIsActive)(domain.pointer()) }
    });
    match is_active {
        0 => true,
        1 => false,
        _ => LibvirtError::last(domain.library(), CALL).code == code::NO_DOMAIN,
    }
}

/// What is being done to a domain, as far as libvirt's daemon knows by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occupation {
    /// Nothing.
    None,
    /// Somebody has its job, without a call being at its monitor.
    Job,
    /// A call is at its monitor.
    Monitor,
}

/// What is being done to a domain at this moment. Needs neither the monitor nor the domain's job.
///
/// # Errors
/// What libvirt said.
pub fn occupation(domain: &Domain, log: &CallLog) -> Result<Occupation, LibvirtError> {
    const CALL: &str = "virDomainGetControlInfo";
    let mut information = bindings::virDomainControlInfo { state: 0, details: 0, stateTime: 0 };
    let result = log.time(CALL, || {
        // SAFETY: the domain is valid and the structure may be written to; no flags.
        unsafe {
            (domain.library().api.virDomainGetControlInfo)(
                domain.pointer(),
                &raw mut information,
                0,
            )
        }
    });
    if result < 0 {
        return Err(LibvirtError::last(domain.library(), CALL));
    }
    Ok(match information.state {
        bindings::VIR_DOMAIN_CONTROL_OCCUPIED => Occupation::Monitor,
        bindings::VIR_DOMAIN_CONTROL_JOB => Occupation::Job,
        _ => Occupation::None,
    })
}

fn c_name(call: &'static str, name: &str) -> Result<CString, LibvirtError> {
    CString::new(name)
        .map_err(|_| LibvirtError::own(call, "the name of the device holds a NUL byte"))
}

/// The bulk name of a parameter of virDomainBlockStatsFlags. Source: `VIR_DOMAIN_BLOCK_STATS_…` in libvirt-domain.h.
fn block_key(parameter: &[u8]) -> Option<&'static str> {
    Some(match parameter {
        b"rd_operations" => "rd.reqs",
        b"rd_bytes" => "rd.bytes",
        b"rd_total_times" => "rd.times",
        b"wr_operations" => "wr.reqs",
        b"wr_bytes" => "wr.bytes",
        b"wr_total_times" => "wr.times",
        b"flush_operations" => "fl.reqs",
        b"flush_total_times" => "fl.times",
        b"errs" => "errors",
        _ => return None,
    })
}

/// The bulk name of a tag of virDomainMemoryStats.
fn memory_field(tag: u32) -> Option<&'static str> {
    Some(match tag {
        bindings::VIR_DOMAIN_MEMORY_STAT_SWAP_IN => "balloon.swap_in",
        bindings::VIR_DOMAIN_MEMORY_STAT_SWAP_OUT => "balloon.swap_out",
        bindings::VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT => "balloon.major_fault",
        bindings::VIR_DOMAIN_MEMORY_STAT_MINOR_FAULT => "balloon.minor_fault",
        bindings::VIR_DOMAIN_MEMORY_STAT_UNUSED => "balloon.unused",
        bindings::VIR_DOMAIN_MEMORY_STAT_AVAILABLE => "balloon.available",
        bindings::VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON => "balloon.current",
        bindings::VIR_DOMAIN_MEMORY_STAT_RSS => "balloon.rss",
        bindings::VIR_DOMAIN_MEMORY_STAT_USABLE => "balloon.usable",
        bindings::VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE => "balloon.last-update",
        bindings::VIR_DOMAIN_MEMORY_STAT_DISK_CACHES => "balloon.disk_caches",
        bindings::VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGALLOC => "balloon.hugetlb_pgalloc",
        bindings::VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGFAIL => "balloon.hugetlb_pgfail",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vcpu_that_runs_nowhere_has_no_place() {
        let vcpu = |number, cpu| bindings::virVcpuInfo { number, state: 1, cpuTime: 5, cpu };
        let vcpus = [vcpu(0, 3), vcpu(2, -1), vcpu(7, -2)];
        let mut dictionary = Dictionary::new(100);
        let mut values = |placement, usage| {
            let row = vcpu_row(&vcpus, VcpuValues { placement, usage }, &mut dictionary);
            row.numbers
                .into_iter()
                .map(|(field, value)| (crate::dictionary::text(dictionary.string(field)), value))
                .collect::<Vec<_>>()
        };
        assert_eq!(values(true, false), [(String::from("vcpu.0.cpu"), 3.0)]);
        let usage: Vec<String> = values(false, true).into_iter().map(|(field, _)| field).collect();
        assert_eq!(
            usage,
            [
                "vcpu.0.state",
                "vcpu.0.time",
                "vcpu.2.state",
                "vcpu.2.time",
                "vcpu.7.state",
                "vcpu.7.time"
            ]
        );
    }

    #[test]
    fn parameters_of_a_disk_that_have_no_bulk_name_are_left_out() {
        assert_eq!(block_key(b"flush_total_times"), Some("fl.times"));
        assert_eq!(block_key(b"rd_latency_histogram"), None);
    }
}
