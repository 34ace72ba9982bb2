//! The statistics calls, each giving its values under libvirt's own names.
//!
//! Whatever call a value comes from, its field name is the one of libvirt's bulk statistics
//! (<https://libvirt.org/html/libvirt-libvirt-domain.html#virConnectGetAllDomainStats>), so that the other
//! side of the seam knows one vocabulary. What libvirt does not give is not in the row.

use std::ffi::{CStr, CString, c_void};
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::bindings;
use crate::connection::{Connection, Domain};
use crate::dictionary::Dictionary;
use crate::error::{LibvirtError, code};

/// The groups of `virDomainStatsTypes` that libvirt answers without asking the guest's monitor and without
/// waiting for the domain's job (`qemuDomainGetStatsWorkers` in libvirt 9.0 names those that do).
pub const GROUPS_WITHOUT_MONITOR: u32 = bindings::VIR_DOMAIN_STATS_STATE
    | bindings::VIR_DOMAIN_STATS_INTERFACE
    | bindings::VIR_DOMAIN_STATS_PERF
    | bindings::VIR_DOMAIN_STATS_MEMORY;

/// `nparams` of virDomainGetCPUStats: more than any release gives for the total (three), so that one call does.
const CPU_PARAMETERS: u32 = 16;

/// A dictionary that the threads of the pool share.
pub type SharedDictionary = Arc<Mutex<Dictionary>>;

/// The values of one domain: field number and value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Numbers; 64-bit integers become doubles, exact up to 2^53.
    pub numbers: Vec<(u32, f64)>,
    /// Texts, as dictionary numbers.
    pub texts: Vec<(u32, u32)>,
}

impl Row {
    /// Adds the values of another row.
    pub fn append(&mut self, mut other: Self) {
        self.numbers.append(&mut other.numbers);
        self.texts.append(&mut other.texts);
    }

    /// Whether it has a number for this field.
    pub fn has(&self, field: u32) -> bool {
        self.numbers.iter().any(|(present, _)| *present == field)
    }

    /// Orders the fields by number; of a field given twice the first value stays.
    pub fn sort(&mut self) {
        self.numbers.sort_by_key(|(field, _)| *field);
        self.numbers.dedup_by_key(|(field, _)| *field);
        self.texts.sort_by_key(|(field, _)| *field);
        self.texts.dedup_by_key(|(field, _)| *field);
    }

    fn number(&mut self, dictionary: &mut Dictionary, field: &[u8], value: f64) {
        self.numbers.push((dictionary.number(field), value));
    }

    /// Some calls of libvirt give -1 for what they do not know.
    fn known(&mut self, dictionary: &mut Dictionary, field: &str, value: i64) {
        if value >= 0 {
            self.number(dictionary, field.as_bytes(), to_double(value.cast_unsigned()));
        }
    }
}

/// Locks the dictionary.
pub fn lock(dictionary: &SharedDictionary) -> MutexGuard<'_, Dictionary> {
    dictionary.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Active domains with the values of `groups`, in one call for all of them.
///
/// # Errors
/// What libvirt said. A driver without bulk statistics is asked for the list alone.
pub fn all_domains(
    connection: &Arc<Connection>,
    groups: u32,
    dictionary: &SharedDictionary,
) -> Result<Vec<(Domain, Row)>, LibvirtError> {
    const CALL: &str = "virConnectGetAllDomainStats";
    let library = connection.library();
    let active = bindings::VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE;
    let records = match bulk(connection, CALL, active, |records, flags| {
        // SAFETY: the connection is open and `records` may be written to.
        unsafe {
            (library.api.virConnectGetAllDomainStats)(connection.pointer(), groups, records, flags)
        }
    }) {
        Err(error) if error.code == code::NO_SUPPORT => return listed_domains(connection),
        other => other?,
    };
    let mut dictionary = lock(dictionary);
    Ok(records
        .iter()
        .filter_map(|record| {
            let row = read_parameters(&mut dictionary, record.parameters());
            record.domain(connection).map(|domain| (domain, row))
        })
        .collect())
}

/// The values of `groups` of one domain, without waiting when somebody else is asking it (NOWAIT): the row then
/// lacks what needs the monitor.
///
/// # Errors
/// What libvirt said.
pub fn one_domain(
    domain: &Domain,
    groups: u32,
    dictionary: &SharedDictionary,
) -> Result<Row, LibvirtError> {
    const CALL: &str = "virDomainListGetStats";
    let library = domain.library();
    let domains = [domain.pointer(), ptr::null_mut()];
    let records = bulk(domain.connection(), CALL, 0, |records, flags| {
        // SAFETY: the list is null-terminated and only read, its domain is valid, and `records` may be
        // written to.
        unsafe {
            (library.api.virDomainListGetStats)(domains.as_ptr().cast_mut(), groups, records, flags)
        }
    })?;
    let Some(record) = records.iter().next() else {
        // Bulk calls leave a domain out that has just gone.
        return Err(LibvirtError {
            call: CALL,
            code: code::NO_DOMAIN,
            origin: 0,
            message: String::from("the domain has gone"),
        });
    };
    Ok(read_parameters(&mut lock(dictionary), record.parameters()))
}

/// `cpu.time`, `cpu.user` and `cpu.system` in nanoseconds, from the domain's cgroup.
///
/// # Errors
/// What libvirt said.
pub fn cpu(domain: &Domain, dictionary: &SharedDictionary) -> Result<Row, LibvirtError> {
    let mut parameters = [const { MaybeUninit::zeroed() }; CPU_PARAMETERS as usize];
    // SAFETY: the buffer holds CPU_PARAMETERS entries; -1 and 1 ask for the total of all CPUs.
    let count = unsafe {
        (domain.library().api.virDomainGetCPUStats)(
            domain.pointer(),
            parameters.as_mut_ptr().cast(),
            CPU_PARAMETERS,
            -1,
            1,
            0,
        )
    };
    let Ok(count) = usize::try_from(count) else {
        return Err(LibvirtError::last(domain.library(), "virDomainGetCPUStats"));
    };
    let mut row = Row::default();
    let mut dictionary = lock(dictionary);
    for parameter in parameters.iter().take(count) {
        // SAFETY: zeroed entries are valid ones, and libvirt wrote the first `count`.
        let parameter: &bindings::virTypedParameter = unsafe { parameter.assume_init_ref() };
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

/// `balloon.…` in KiB, for drivers without bulk statistics.
///
/// # Errors
/// What libvirt said.
pub fn memory(domain: &Domain, dictionary: &SharedDictionary) -> Result<Row, LibvirtError> {
    let empty = bindings::virDomainMemoryStatStruct { tag: 0, val: 0 };
    let mut statistics = [empty; bindings::VIR_DOMAIN_MEMORY_STAT_NR as usize];
    // SAFETY: the buffer holds VIR_DOMAIN_MEMORY_STAT_NR entries.
    let count = unsafe {
        (domain.library().api.virDomainMemoryStats)(
            domain.pointer(),
            statistics.as_mut_ptr(),
            bindings::VIR_DOMAIN_MEMORY_STAT_NR,
            0,
        )
    };
    let Ok(count) = usize::try_from(count) else {
        return Err(LibvirtError::last(domain.library(), "virDomainMemoryStats"));
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

/// `block.N.…` of one disk, named by its target device. One round trip of the monitor, where the bulk group
/// takes several.
///
/// # Errors
/// What libvirt said.
pub fn block(
    domain: &Domain,
    index: usize,
    target: &str,
    dictionary: &SharedDictionary,
) -> Result<Row, LibvirtError> {
    const CALL: &str = "virDomainBlockStats";
    let name = c_name(CALL, target)?;
    let mut statistics = MaybeUninit::<bindings::_virDomainBlockStats>::zeroed();
    // SAFETY: the name is NUL-terminated; the buffer has the size that is passed.
    let result = unsafe {
        (domain.library().api.virDomainBlockStats)(
            domain.pointer(),
            name.as_ptr(),
            statistics.as_mut_ptr(),
            size_of_val(&statistics),
        )
    };
    if result < 0 {
        return Err(LibvirtError::last(domain.library(), CALL));
    }
    // SAFETY: a zeroed structure of integers is valid, and libvirt has filled it.
    let statistics = unsafe { statistics.assume_init() };
    let mut row = Row::default();
    let mut dictionary = lock(dictionary);
    let dictionary = &mut *dictionary;
    row.texts.push((
        dictionary.number(format!("block.{index}.name").as_bytes()),
        dictionary.number(target.as_bytes()),
    ));
    for (key, value) in [
        ("rd.reqs", statistics.rd_req),
        ("rd.bytes", statistics.rd_bytes),
        ("wr.reqs", statistics.wr_req),
        ("wr.bytes", statistics.wr_bytes),
        ("errors", statistics.errs),
    ] {
        row.known(dictionary, &format!("block.{index}.{key}"), value);
    }
    Ok(row)
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
    dictionary: &SharedDictionary,
) -> Result<Row, LibvirtError> {
    const CALL: &str = "virDomainInterfaceStats";
    let name = c_name(CALL, target)?;
    let mut statistics = MaybeUninit::<bindings::_virDomainInterfaceStats>::zeroed();
    // SAFETY: the name is NUL-terminated; the buffer has the size that is passed.
    let result = unsafe {
        (domain.library().api.virDomainInterfaceStats)(
            domain.pointer(),
            name.as_ptr(),
            statistics.as_mut_ptr(),
            size_of_val(&statistics),
        )
    };
    if result < 0 {
        return Err(LibvirtError::last(domain.library(), CALL));
    }
    // SAFETY: a zeroed structure of integers is valid, and libvirt has filled it.
    let statistics = unsafe { statistics.assume_init() };
    let mut row = Row::default();
    let mut dictionary = lock(dictionary);
    let dictionary = &mut *dictionary;
    row.texts.push((
        dictionary.number(format!("net.{index}.name").as_bytes()),
        dictionary.number(target.as_bytes()),
    ));
    for (key, value) in [
        ("rx.bytes", statistics.rx_bytes),
        ("rx.pkts", statistics.rx_packets),
        ("rx.errs", statistics.rx_errs),
        ("rx.drop", statistics.rx_drop),
        ("tx.bytes", statistics.tx_bytes),
        ("tx.pkts", statistics.tx_packets),
        ("tx.errs", statistics.tx_errs),
        ("tx.drop", statistics.tx_drop),
    ] {
        row.known(dictionary, &format!("net.{index}.{key}"), value);
    }
    Ok(row)
}

/// The domain's definition as XML, without secrets.
///
/// # Errors
/// What libvirt said.
pub fn xml(domain: &Domain) -> Result<String, LibvirtError> {
    unsafe extern "C" {
        fn free(pointer: *mut c_void);
    }
    // SAFETY: the domain is valid; no flags.
    let text = unsafe { (domain.library().api.virDomainGetXMLDesc)(domain.pointer(), 0) };
    if text.is_null() {
        return Err(LibvirtError::last(domain.library(), "virDomainGetXMLDesc"));
    }
    // SAFETY: a NUL-terminated string that now belongs to us; it is copied before it is freed.
    let copy = crate::dictionary::text(unsafe { CStr::from_ptr(text) }.to_bytes());
    // SAFETY: libvirt's documentation asks for free() of the C library; it is not used afterwards.
    unsafe { free(text.cast()) };
    Ok(copy)
}

/// Whether `error` came because the domain is no longer there. Only `NO_DOMAIN` says so by itself: a guest that
/// ends while it is asked fails the call with whatever befell its monitor, and `OPERATION_INVALID` is also what a
/// missing cgroup controller gives.
pub fn has_gone(domain: &Domain, error: &LibvirtError) -> bool {
    match error.code {
        code::NO_DOMAIN => true,
        code::NONE => false,
        _ => has_ended(domain),
    }
}

/// Whether this run of the domain is known to be over. It may have been started again, which is another run.
pub fn has_ended(domain: &Domain) -> bool {
    const CALL: &str = "virDomainListGetStats";
    let (library, connection) = (domain.library(), domain.connection());
    let domains = [domain.pointer(), ptr::null_mut()];
    let groups = bindings::VIR_DOMAIN_STATS_STATE;
    // Of the calls that need neither monitor nor job, this one tells the present id.
    let records = bulk(connection, CALL, 0, |records, flags| {
        // SAFETY: the list is null-terminated and only read, its domain is valid, and `records` may be
        // written to.
        unsafe {
            (library.api.virDomainListGetStats)(domains.as_ptr().cast_mut(), groups, records, flags)
        }
    });
    match records {
        Ok(records) => {
            let present = records.iter().next().and_then(|record| record.domain(connection));
            present.map(|present| present.id()) != Some(domain.id())
        }
        Err(error) if error.code == code::NO_DOMAIN => true,
        Err(error) => error.is_unsupported() && is_inactive(domain),
    }
}

fn is_inactive(domain: &Domain) -> bool {
    // SAFETY: the domain is valid; the call needs neither monitor nor job.
    match unsafe { (domain.library().api.virDomainIsActive)(domain.pointer()) } {
        0 => true,
        1 => false,
        _ => LibvirtError::last(domain.library(), "virDomainIsActive").code == code::NO_DOMAIN,
    }
}

/// Whether the domain is known to run no longer, now or soon. Looks once at least, and often at first.
pub fn ends_until(domain: &Domain, until: Instant) -> bool {
    let mut pause = Duration::from_millis(5);
    loop {
        if has_ended(domain) {
            return true;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        thread::sleep(pause.min(left));
        pause *= 2;
    }
}

/// Whether a call is at the domain's monitor at this moment. Needs neither the monitor nor the domain's job.
///
/// # Errors
/// What libvirt said.
pub fn is_monitor_occupied(domain: &Domain) -> Result<bool, LibvirtError> {
    let mut information = bindings::virDomainControlInfo { state: 0, details: 0, stateTime: 0 };
    // SAFETY: the domain is valid and the structure may be written to; no flags.
    let result = unsafe {
        (domain.library().api.virDomainGetControlInfo)(domain.pointer(), &raw mut information, 0)
    };
    if result < 0 {
        return Err(LibvirtError::last(domain.library(), "virDomainGetControlInfo"));
    }
    Ok(information.state == bindings::VIR_DOMAIN_CONTROL_OCCUPIED)
}

/// The records of a bulk reply.
struct Records {
    connection: Arc<Connection>,
    pointer: *mut bindings::virDomainStatsRecordPtr,
    count: usize,
}

struct Record<'a>(&'a bindings::_virDomainStatsRecord);

impl Records {
    fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        let records = if self.pointer.is_null() {
            &[][..]
        } else {
            // SAFETY: libvirt gave a list of `count` records, which lives as long as `self`.
            unsafe { slice::from_raw_parts(self.pointer, self.count) }
        };
        // SAFETY: the entries point to records of the same reply, or are null.
        records.iter().filter_map(|record| unsafe { record.as_ref() }).map(Record)
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        // SAFETY: the list came from libvirt and is freed once; freeing null does nothing.
        unsafe {
            (self.connection.library().api.virDomainStatsRecordListFree)(self.pointer);
        }
    }
}

impl Record<'_> {
    fn parameters(&self) -> &[bindings::virTypedParameter] {
        match usize::try_from(self.0.nparams) {
            // SAFETY: the record holds `nparams` parameters.
            Ok(count) if count > 0 && !self.0.params.is_null() => unsafe {
                slice::from_raw_parts(self.0.params, count)
            },
            _ => &[],
        }
    }

    /// A handle of its own to the record's domain, which otherwise goes with the reply.
    fn domain(&self, connection: &Arc<Connection>) -> Option<Domain> {
        let pointer = NonNull::new(self.0.dom)?;
        // SAFETY: the domain is valid while the record is; this counts a further reference.
        if unsafe { (connection.library().api.virDomainRef)(pointer.as_ptr()) } < 0 {
            return None;
        }
        // SAFETY: the reference just counted is ours to give away.
        Some(unsafe { Domain::from_owned(connection, pointer) })
    }
}

/// Makes a bulk call with NOWAIT; on a libvirt that does not know the flag (before 4.5.0), without.
fn bulk(
    connection: &Arc<Connection>,
    name: &'static str,
    flags: u32,
    call: impl Fn(*mut *mut bindings::virDomainStatsRecordPtr, u32) -> i32,
) -> Result<Records, LibvirtError> {
    let library = connection.library();
    let attempt = |flags| {
        let mut pointer = ptr::null_mut();
        let count = call(&raw mut pointer, flags);
        match usize::try_from(count) {
            Ok(count) => Ok(Records { connection: Arc::clone(connection), pointer, count }),
            Err(_) => Err(LibvirtError::last(library, name)),
        }
    };
    if !connection.knows_nowait() {
        return attempt(flags);
    }
    match attempt(flags | bindings::VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT) {
        Err(error) if matches!(error.code, code::INVALID_ARGUMENT | code::ARGUMENT_UNSUPPORTED) => {
            let records = attempt(flags)?;
            connection.forget_nowait();
            Ok(records)
        }
        other => other,
    }
}

fn listed_domains(connection: &Arc<Connection>) -> Result<Vec<(Domain, Row)>, LibvirtError> {
    unsafe extern "C" {
        fn free(pointer: *mut c_void);
    }
    let library = connection.library();
    let mut list: *mut bindings::virDomainPtr = ptr::null_mut();
    // SAFETY: the connection is open and `list` may be written to.
    let count = unsafe {
        (library.api.virConnectListAllDomains)(
            connection.pointer(),
            &raw mut list,
            bindings::VIR_CONNECT_LIST_DOMAINS_ACTIVE,
        )
    };
    let Ok(count) = usize::try_from(count) else {
        return Err(LibvirtError::last(library, "virConnectListAllDomains"));
    };
    if list.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: libvirt gave a list of `count` domains.
    let pointers = unsafe { slice::from_raw_parts(list, count) };
    let domains = pointers
        .iter()
        .filter_map(|&pointer| NonNull::new(pointer))
        .map(|pointer| {
            // SAFETY: each domain of the list comes with a reference that is ours.
            let domain = unsafe { Domain::from_owned(connection, pointer) };
            (domain, Row::default())
        })
        .collect();
    // SAFETY: the list itself is ours to free; its domains have been taken over.
    unsafe { free(list.cast()) };
    Ok(domains)
}

enum Value<'a> {
    Number(f64),
    Text(&'a [u8]),
    Unknown,
}

fn read_parameters(dictionary: &mut Dictionary, parameters: &[bindings::virTypedParameter]) -> Row {
    let mut row = Row::default();
    for parameter in parameters {
        match value_of(parameter) {
            Value::Number(value) => row.number(dictionary, field_name(parameter), value),
            Value::Text(text) => {
                let field = dictionary.number(field_name(parameter));
                row.texts.push((field, dictionary.number(text)));
            }
            Value::Unknown => {}
        }
    }
    row
}

fn field_name(parameter: &bindings::virTypedParameter) -> &[u8] {
    let field = &parameter.field;
    // SAFETY: reading `char`s as bytes: same size, every value valid.
    let bytes = unsafe { slice::from_raw_parts(field.as_ptr().cast::<u8>(), field.len()) };
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn value_of(parameter: &bindings::virTypedParameter) -> Value<'_> {
    let value = &parameter.value;
    // SAFETY: `type_` tells which member of the union libvirt wrote.
    unsafe {
        match parameter.type_.cast_unsigned() {
            bindings::VIR_TYPED_PARAM_INT => Value::Number(f64::from(value.i)),
            bindings::VIR_TYPED_PARAM_UINT => Value::Number(f64::from(value.ui)),
            bindings::VIR_TYPED_PARAM_LLONG => Value::Number(signed_to_double(value.l)),
            bindings::VIR_TYPED_PARAM_ULLONG => Value::Number(to_double(value.ul)),
            bindings::VIR_TYPED_PARAM_DOUBLE => Value::Number(value.d),
            bindings::VIR_TYPED_PARAM_BOOLEAN => Value::Number(f64::from(value.b)),
            bindings::VIR_TYPED_PARAM_STRING if !value.s.is_null() => {
                Value::Text(CStr::from_ptr(value.s).to_bytes())
            }
            _ => Value::Unknown,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus's samples are doubles")]
fn to_double(value: u64) -> f64 {
    value as f64
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus's samples are doubles")]
fn signed_to_double(value: i64) -> f64 {
    value as f64
}

fn c_name(call: &'static str, name: &str) -> Result<CString, LibvirtError> {
    CString::new(name)
        .map_err(|_| LibvirtError::own(call, "the name of the device holds a NUL byte"))
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
    use crate::bindings::_virTypedParameter__bindgen_ty_1 as ParameterValue;

    fn parameter(name: &str, kind: u32) -> bindings::virTypedParameter {
        // SAFETY: a structure of integers, pointers and doubles may be zero.
        let mut parameter: bindings::virTypedParameter = unsafe { std::mem::zeroed() };
        for (slot, byte) in parameter.field.iter_mut().zip(name.bytes()) {
            *slot = byte.cast_signed();
        }
        parameter.type_ = kind.cast_signed();
        parameter
    }

    #[test]
    fn every_type_of_parameter_is_read_and_unknown_ones_are_left_out() {
        let mut dictionary = Dictionary::new(100);
        let mut parameters = Vec::new();
        let mut add = |name: &str, kind: u32, value: ParameterValue| {
            let mut parameter = parameter(name, kind);
            parameter.value = value;
            parameters.push(parameter);
        };
        let text = c"vda".as_ptr().cast_mut();
        add("int", bindings::VIR_TYPED_PARAM_INT, ParameterValue { i: -3 });
        add("uint", bindings::VIR_TYPED_PARAM_UINT, ParameterValue { ui: 3 });
        add("llong", bindings::VIR_TYPED_PARAM_LLONG, ParameterValue { l: -1024 });
        add("ullong", bindings::VIR_TYPED_PARAM_ULLONG, ParameterValue { ul: 1 << 53 });
        add("double", bindings::VIR_TYPED_PARAM_DOUBLE, ParameterValue { d: 0.5 });
        add("boolean", bindings::VIR_TYPED_PARAM_BOOLEAN, ParameterValue { b: 1 });
        add("string", bindings::VIR_TYPED_PARAM_STRING, ParameterValue { s: text });
        add("null", bindings::VIR_TYPED_PARAM_STRING, ParameterValue { s: ptr::null_mut() });
        add("future", 99, ParameterValue { i: 1 });
        let row = read_parameters(&mut dictionary, &parameters);
        let values: Vec<f64> = row.numbers.iter().map(|(_, value)| *value).collect();
        assert_eq!(values, [-3.0, 3.0, -1024.0, 9_007_199_254_740_992.0, 0.5, 1.0]);
        assert_eq!(row.texts.len(), 1);
        let strings = dictionary.additions().strings;
        assert_eq!(strings[row.texts[0].1 as usize], "vda");
    }

    #[test]
    fn a_name_that_fills_its_buffer_needs_no_terminator() {
        let mut parameter = parameter("", bindings::VIR_TYPED_PARAM_INT);
        parameter.field.fill(b'x'.cast_signed());
        assert_eq!(field_name(&parameter).len(), parameter.field.len());
    }

    #[test]
    fn a_row_is_ordered_by_field_and_the_first_value_wins() {
        let mut row = Row { numbers: vec![(3, 1.0), (1, 2.0)], texts: vec![(9, 1), (9, 2)] };
        row.append(Row { numbers: vec![(3, 5.0)], texts: vec![(2, 7)] });
        row.sort();
        assert_eq!(row, Row { numbers: vec![(1, 2.0), (3, 1.0)], texts: vec![(2, 7), (9, 1)] });
    }

    #[test]
    fn what_libvirt_marks_unknown_is_left_out() {
        let mut row = Row::default();
        let mut dictionary = Dictionary::new(10);
        row.known(&mut dictionary, "block.0.errors", -1);
        row.known(&mut dictionary, "block.0.rd.bytes", 0);
        assert_eq!(row.numbers, [(0, 0.0)]);
    }
}
