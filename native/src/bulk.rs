//! libvirt's bulk statistics, which hold the values of many calls.

use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;

use crate::allocated;
use crate::bindings;
use crate::call_times::CallLog;
use crate::connection::{Connection, Domain};
use crate::domain_calls;
use crate::error::{LibvirtError, code};
use crate::parameters::read_parameters;
use crate::row::{Row, SharedDictionary, lock};

/// The groups of `virDomainStatsTypes` that libvirt answers without asking the guest's monitor and without
/// waiting for the domain's job (`qemuDomainGetStatsWorkers` in libvirt 9.0 names those that do).
pub const GROUPS_WITHOUT_MONITOR: u32 = bindings::VIR_DOMAIN_STATS_STATE
    | bindings::VIR_DOMAIN_STATS_INTERFACE
    | bindings::VIR_DOMAIN_STATS_PERF
    | bindings::VIR_DOMAIN_STATS_MEMORY;

/// The active domains, and with `inactive` those that are shut off, with the values of `groups`, in one call for all of
/// them.
///
/// # Errors
/// What libvirt said. A driver without bulk statistics is asked for the list, and for each domain's state.
pub fn all_domains(
    connection: &Arc<Connection>,
    groups: u32,
    inactive: bool,
    log: &CallLog,
    dictionary: &SharedDictionary,
) -> Result<Vec<(Domain, Row)>, LibvirtError> {
    const CALL: &str = "virConnectGetAllDomainStats";
    let library = connection.library();
    let mut filter = bindings::VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE;
    if inactive {
        filter |= bindings::VIR_CONNECT_GET_ALL_DOMAINS_STATS_INACTIVE;
    }
    let records = match bulk(connection, CALL, log, filter, |records, flags| {
        // SAFETY: the connection is open and `records` may be written to.
        unsafe {
            (library.api.virConnectGetAllDomainStats)(connection.pointer(), groups, records, flags)
        }
    }) {
        Err(error) if error.code == code::NO_SUPPORT => {
            return listed_domains(connection, inactive, log, dictionary);
        }
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
    log: &CallLog,
    dictionary: &SharedDictionary,
) -> Result<Row, LibvirtError> {
    const CALL: &str = "virDomainListGetStats";
    let library = domain.library();
    let domains = [domain.pointer(), ptr::null_mut()];
    let records = bulk(domain.connection(), CALL, log, 0, |records, flags| {
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

/// The id that the domain has now: -1 when it does not run, `None` when it is not there any more. Of the calls that
/// need neither monitor nor job, this one tells the present id: another one is another run of the domain.
///
/// # Errors
/// What libvirt said.
pub fn present_id(domain: &Domain, log: &CallLog) -> Result<Option<i32>, LibvirtError> {
    const CALL: &str = "virDomainListGetStats";
    let (library, connection) = (domain.library(), domain.connection());
    let domains = [domain.pointer(), ptr::null_mut()];
    let groups = bindings::VIR_DOMAIN_STATS_STATE;
    let records = bulk(connection, CALL, log, 0, |records, flags| {
        // SAFETY: the list is null-terminated and only read, its domain is valid, and `records` may be
        // written to.
        unsafe {
            (library.api.virDomainListGetStats)(domains.as_ptr().cast_mut(), groups, records, flags)
        }
    })?;
    Ok(records.iter().next().and_then(|record| record.domain(connection)).map(|found| found.id()))
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
    log: &CallLog,
    flags: u32,
    call: impl Fn(*mut *mut bindings::virDomainStatsRecordPtr, u32) -> i32,
) -> Result<Records, LibvirtError> {
    let library = connection.library();
    let attempt = |flags| {
        let mut pointer = ptr::null_mut();
        let count = log.time(name, || call(&raw mut pointer, flags));
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

fn listed_domains(
    connection: &Arc<Connection>,
    inactive: bool,
    log: &CallLog,
    dictionary: &SharedDictionary,
) -> Result<Vec<(Domain, Row)>, LibvirtError> {
    const CALL: &str = "virConnectListAllDomains";
    let library = connection.library();
    let mut list: *mut bindings::virDomainPtr = ptr::null_mut();
    let mut filter = bindings::VIR_CONNECT_LIST_DOMAINS_ACTIVE;
    if inactive {
        filter |= bindings::VIR_CONNECT_LIST_DOMAINS_INACTIVE;
    }
    let count = log.time(CALL, || {
        // SAFETY: the connection is open and `list` may be written to.
        unsafe {
            (library.api.virConnectListAllDomains)(connection.pointer(), &raw mut list, filter)
        }
    });
    let Ok(count) = usize::try_from(count) else {
        return Err(LibvirtError::last(library, CALL));
    };
    if list.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: libvirt gave a list of `count` domains.
    let pointers = unsafe { slice::from_raw_parts(list, count) };
    let domains: Vec<Domain> = pointers
        .iter()
        .filter_map(|&pointer| NonNull::new(pointer))
        // SAFETY: each domain of the list comes with a reference that is ours.
        .map(|pointer| unsafe { Domain::from_owned(connection, pointer) })
        .collect();
    // SAFETY: the list itself is ours to free; its domains have been taken over.
    unsafe { allocated::free(list) };
    Ok(domains
        .into_iter()
        .map(|domain| {
            // A domain that has ended meanwhile is found out by the calls about it.
            let state = domain_calls::state(&domain, log, dictionary).unwrap_or_default();
            (domain, state)
        })
        .collect())
}
