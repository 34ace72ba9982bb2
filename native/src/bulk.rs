//! libvirt's bulk statistics, which hold the values of many calls.

use std::collections::HashMap;
use std::ptr;
use std::sync::Arc;

use crate::allocated::entries;
use crate::bindings;
use crate::caller::{Caller, call};
use crate::connection::Domain;
use crate::domain_calls::DomainCaller;
use crate::error::{LibvirtError, Result};
use crate::library::Library;
use crate::parameters::read_parameters;
use crate::row::Row;
use crate::threads::lock;

/// The function that lists the domains.
pub const LIST: &str = "virConnectGetAllDomainStats";

/// The function that gives the values of domains that are known.
const STATISTICS: &str = "virDomainListGetStats";

/// The active domains, and with `inactive` those that are shut off, with their states. The runs that are `known` of this
/// connection are taken for those with their ids, which libvirt gives no second time: a handle of each would have to be made
/// and freed for every list.
///
/// # Errors
/// What libvirt said. A driver without bulk statistics is asked for the list, and for each domain's state.
pub fn list(
    caller: Caller,
    inactive: bool,
    known: &HashMap<i32, Arc<Domain>>,
) -> Result<Vec<(Arc<Domain>, Row)>> {
    let mut filter = bindings::VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE;
    if inactive {
        filter |= bindings::VIR_CONNECT_GET_ALL_DOMAINS_STATS_INACTIVE;
    }
    let (list_all, pointer) = (caller.library().api.virConnectGetAllDomainStats, caller.pointer());
    let list_states = |records, flags| {
        // SAFETY: the connection is open and `records` may be written to.
        unsafe { list_all(pointer, bindings::VIR_DOMAIN_STATS_STATE, records, flags) }
    };
    let records = read_records(caller, LIST, filter, list_states, |domain| {
        // SAFETY: the domain is valid while its record is.
        let found = known.get(&unsafe { id_of(caller, domain) }).map(Arc::clone);
        // SAFETY: as above.
        found.or_else(|| unsafe { Domain::of(caller.connection, domain) }.map(Arc::new))
    });
    match records {
        Err(error) if error.is(bindings::VIR_ERR_NO_SUPPORT) => listed(caller, inactive),
        other => other,
    }
}

/// The values of `groups` of several domains of the caller's connection, by their present ids: -1 when one does not run.
/// Those that are not there any more are left out. What needs a monitor is left out where somebody else is asking that
/// guest (NOWAIT).
///
/// # Errors
/// What libvirt said.
pub fn statistics<'a>(
    caller: Caller,
    domains: impl Iterator<Item = &'a Domain>,
    groups: u32,
) -> Result<Vec<(i32, Row)>> {
    let list_statistics = caller.library().api.virDomainListGetStats;
    let mut domains: Vec<_> = domains.map(Domain::pointer).chain([ptr::null_mut()]).collect();
    let ask = |records, flags| {
        // SAFETY: the list is null-terminated and only read, its domains are valid, and `records` may be written to.
        unsafe { list_statistics(domains.as_mut_ptr(), groups, records, flags) }
    };
    // SAFETY: the domain is valid while its record is.
    read_records(caller, STATISTICS, 0, ask, |domain| Some(unsafe { id_of(caller, domain) }))
}

impl DomainCaller<'_> {
    /// The values of `groups`, as `statistics` of several domains.
    ///
    /// # Errors
    /// What libvirt said, and that the domain has gone when it does not run or in another run.
    pub fn statistics(&self, groups: u32) -> Result<Row> {
        match self.present(groups)? {
            Some((id, row)) if id == self.domain.run.id => Ok(row),
            _ => Err(LibvirtError {
                code: bindings::VIR_ERR_NO_DOMAIN.cast_signed(),
                ..LibvirtError::own(STATISTICS, "the domain has gone")
            }),
        }
    }

    /// The id that the domain has now: -1 when it does not run, `None` when it is not there any more. Of the calls that
    /// need neither monitor nor job, this one tells the present id: another one is another run of the domain.
    ///
    /// # Errors
    /// What libvirt said.
    pub fn present_id(&self) -> Result<Option<i32>> {
        Ok(self.present(bindings::VIR_DOMAIN_STATS_STATE)?.map(|(id, _)| id))
    }

    fn present(&self, groups: u32) -> Result<Option<(i32, Row)>> {
        Ok(statistics(self.caller, [self.domain].into_iter(), groups)?.into_iter().next())
    }
}

/// The present id of a domain.
///
/// # Safety
/// The domain is valid.
unsafe fn id_of(caller: Caller, domain: bindings::virDomainPtr) -> i32 {
    // SAFETY: the caller vouches for the domain.
    unsafe { (caller.library().api.virDomainGetID)(domain) }.cast_signed()
}

/// Where a bulk call writes its records.
type Place = *mut *mut bindings::virDomainStatsRecordPtr;

/// The records of a bulk reply.
struct Records {
    library: &'static Library,
    pointer: *mut bindings::virDomainStatsRecordPtr,
    count: u32,
}

impl Drop for Records {
    fn drop(&mut self) {
        // SAFETY: the list came from libvirt and is freed once; freeing null does nothing.
        unsafe { (self.library.api.virDomainStatsRecordListFree)(self.pointer) };
    }
}

/// Makes a bulk call with NOWAIT; on a libvirt that does not know the flag (before 4.5.0), without. Gives what `identify`
/// says of each domain, which is not null, with its values; the domain goes with the reply.
fn read_records<T>(
    caller: Caller,
    name: &'static str,
    flags: u32,
    call: impl FnOnce(Place, u32) -> i32,
    identify: impl Fn(bindings::virDomainPtr) -> Option<T>,
) -> Result<Vec<(T, Row)>> {
    let nowait = bindings::VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT;
    let flags = if caller.connection.knows_nowait() { flags | nowait } else { flags };
    let mut pointer = ptr::null_mut();
    let count = caller.number(name, |_| call(&raw mut pointer, flags))?;
    let records = Records { library: caller.library(), pointer, count };
    let mut dictionary = lock(caller.dictionary);
    // SAFETY: libvirt gave a list of `count` records, which lives as long as `records`.
    let list = unsafe { entries(records.pointer, records.count) };
    let domains = list.iter().filter_map(|record| {
        // SAFETY: the entries point to records of the same reply, or are null.
        let record = unsafe { record.as_ref() }?;
        // SAFETY: the record holds `nparams` parameters, which are valid while it is.
        let parameters = unsafe { entries(record.params, record.nparams) };
        let domain = Some(record.dom).filter(|domain| !domain.is_null()).and_then(&identify)?;
        Some((domain, read_parameters(&mut dictionary, parameters)))
    });
    Ok(domains.collect())
}

/// For a driver without bulk statistics.
fn listed(caller: Caller, inactive: bool) -> Result<Vec<(Arc<Domain>, Row)>> {
    let mut filter = bindings::VIR_CONNECT_LIST_DOMAINS_ACTIVE;
    if inactive {
        filter |= bindings::VIR_CONNECT_LIST_DOMAINS_INACTIVE;
    }
    let pointer = caller.pointer();
    // SAFETY: the connection is open, and the list that libvirt gives is ours.
    let list = unsafe {
        call!(caller, |list| virConnectListAllDomains(pointer, list, filter), virDomainFree)
    }?;
    let domains = list.objects().iter().filter_map(|&pointer| {
        // SAFETY: the domain is one of the list, or null.
        let domain = unsafe { Domain::of(caller.connection, pointer) }?;
        // A domain that has ended meanwhile is found out by the calls about it.
        let state = DomainCaller { domain: &domain, caller }.state().unwrap_or_default();
        Some((Arc::new(domain), state))
    });
    Ok(domains.collect())
}
