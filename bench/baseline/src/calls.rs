//! libvirt's calls. Their values are thrown away: what counts is that they were asked for.

use std::ffi::{CStr, CString, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::slice;

use crate::bindings;
use crate::library::{Connection, Domain};

/// More parameters than any release has for the total of all CPUs.
const CPU_PARAMETERS: u32 = 16;

/// How many calls there were. A way whose calls fail would look quick.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    /// Calls made.
    pub made: u32,
    /// Those that failed.
    pub failed: u32,
}

impl Counts {
    fn count(&mut self, result: i32) {
        self.made += 1;
        if result < 0 {
            self.failed += 1;
        }
    }

    /// Adds the counts of another thread.
    pub fn add(&mut self, other: Self) {
        self.made += other.made;
        self.failed += other.failed;
    }
}

/// The target names of a domain's devices.
#[derive(Default)]
pub struct Devices {
    /// Disks (`vda`).
    pub disks: Vec<CString>,
    /// Interfaces (`tap…`).
    pub interfaces: Vec<CString>,
}

/// The active domains.
pub fn list(connection: &Connection, counts: &mut Counts) -> Vec<Domain> {
    let mut pointers: *mut bindings::virDomainPtr = ptr::null_mut();
    // SAFETY: the connection is open and `pointers` may be written to.
    let count = unsafe {
        (connection.library.api.virConnectListAllDomains)(
            connection.pointer(),
            &raw mut pointers,
            bindings::VIR_CONNECT_LIST_DOMAINS_ACTIVE,
        )
    };
    counts.count(count);
    let Ok(length) = usize::try_from(count) else {
        return Vec::new();
    };
    if pointers.is_null() {
        return Vec::new();
    }
    // SAFETY: libvirt gave a list of `length` domains.
    let domains = unsafe { slice::from_raw_parts(pointers, length) }
        .iter()
        // SAFETY: each comes with a reference that is ours.
        .filter_map(|&pointer| unsafe { Domain::from_owned(connection.library, pointer) })
        .collect();
    // SAFETY: the list is ours to free, and not used afterwards.
    unsafe { free(pointers.cast()) };
    domains
}

/// The records of a bulk reply, freed when it is dropped.
pub struct Records<'a> {
    connection: &'a Connection,
    pointer: *mut bindings::virDomainStatsRecordPtr,
    length: usize,
}

impl Records<'_> {
    /// The domains of the records, each with a reference of its own.
    pub fn domains(&self) -> Vec<Domain> {
        let library = self.connection.library;
        self.records()
            .iter()
            .filter_map(|&record| {
                // SAFETY: the record and its domain live as long as the reply; virDomainRef counts a reference
                // that is then given away.
                unsafe {
                    let pointer = record.as_ref()?.dom;
                    (library.api.virDomainRef)(pointer);
                    Domain::from_owned(library, pointer)
                }
            })
            .collect()
    }

    /// The largest number of values that a record has.
    pub fn width(&self) -> i32 {
        let widths = self.records().iter().map(|&record| {
            // SAFETY: the records live as long as the reply.
            unsafe { record.as_ref() }.map_or(0, |record| record.nparams)
        });
        widths.max().unwrap_or(0)
    }

    fn records(&self) -> &[bindings::virDomainStatsRecordPtr] {
        if self.pointer.is_null() {
            return &[];
        }
        // SAFETY: libvirt gave a list of `length` records.
        unsafe { slice::from_raw_parts(self.pointer, self.length) }
    }
}

impl Drop for Records<'_> {
    fn drop(&mut self) {
        // SAFETY: the list came from libvirt and is freed once; freeing null does nothing.
        unsafe { (self.connection.library.api.virDomainStatsRecordListFree)(self.pointer) };
    }
}

/// One bulk call for all active domains.
pub fn all_statistics<'a>(
    connection: &'a Connection,
    groups: u32,
    counts: &mut Counts,
) -> Records<'a> {
    let mut pointer = ptr::null_mut();
    let flags = bindings::VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
        | bindings::VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT;
    // SAFETY: the connection is open and `pointer` may be written to.
    let count = unsafe {
        (connection.library.api.virConnectGetAllDomainStats)(
            connection.pointer(),
            groups,
            &raw mut pointer,
            flags,
        )
    };
    counts.count(count);
    Records { connection, pointer, length: usize::try_from(count).unwrap_or(0) }
}

/// A bulk call for one domain.
pub fn statistics(connection: &Connection, domain: &Domain, groups: u32, counts: &mut Counts) {
    let mut domains = [domain.pointer(), ptr::null_mut()];
    let mut pointer = ptr::null_mut();
    // SAFETY: the list is null-terminated, its domain is valid, and `pointer` may be written to.
    let count = unsafe {
        (connection.library.api.virDomainListGetStats)(
            domains.as_mut_ptr(),
            groups,
            &raw mut pointer,
            bindings::VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT,
        )
    };
    counts.count(count);
    drop(Records { connection, pointer, length: usize::try_from(count).unwrap_or(0) });
}

/// The definition's devices. Nothing else of it is looked at.
pub fn devices(domain: &Domain, counts: &mut Counts) -> Devices {
    // SAFETY: the domain is valid; no flags.
    let text = unsafe { (domain.library.api.virDomainGetXMLDesc)(domain.pointer(), 0) };
    counts.count(if text.is_null() { -1 } else { 0 });
    if text.is_null() {
        return Devices::default();
    }
    // SAFETY: the text is NUL-terminated.
    let xml = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let devices = Devices {
        disks: targets(&xml, "<disk ", "</disk>"),
        interfaces: targets(&xml, "<interface ", "</interface>"),
    };
    drop(xml);
    // SAFETY: the text is ours to free, and not used afterwards.
    unsafe { free(text.cast()) };
    devices
}

/// The target names in the elements between `start` and `end`, in the form in which libvirt writes them.
fn targets(xml: &str, start: &str, end: &str) -> Vec<CString> {
    let elements = xml.split(start).skip(1).filter_map(|rest| rest.split(end).next());
    elements
        .filter_map(|element| element.split("<target dev='").nth(1)?.split('\'').next())
        .filter_map(|target| CString::new(target).ok())
        .collect()
}

/// virDomainGetMaxVcpus.
pub fn maximum_vcpus(domain: &Domain, counts: &mut Counts) {
    // SAFETY: the domain is valid.
    counts.count(unsafe { (domain.library.maximum_vcpus)(domain.pointer()) });
}

/// The total of all CPUs in two calls, as libvirt's Python binding makes them: how many values, and the values.
pub fn cpu_in_two_calls(domain: &Domain, counts: &mut Counts) {
    // SAFETY: the domain is valid; without a buffer libvirt says how many parameters there are.
    let count = unsafe {
        (domain.library.api.virDomainGetCPUStats)(domain.pointer(), ptr::null_mut(), 0, -1, 1, 0)
    };
    counts.count(count);
    if let Ok(count @ 1..=CPU_PARAMETERS) = u32::try_from(count) {
        cpu_parameters(domain, count, counts);
    }
}

/// The total of all CPUs in one call.
pub fn cpu(domain: &Domain, counts: &mut Counts) {
    cpu_parameters(domain, CPU_PARAMETERS, counts);
}

fn cpu_parameters(domain: &Domain, count: u32, counts: &mut Counts) {
    let mut parameters =
        [const { MaybeUninit::<bindings::virTypedParameter>::zeroed() }; CPU_PARAMETERS as usize];
    debug_assert!(count <= CPU_PARAMETERS);
    // SAFETY: the buffer holds at least `count` entries.
    counts.count(unsafe {
        (domain.library.api.virDomainGetCPUStats)(
            domain.pointer(),
            parameters.as_mut_ptr().cast(),
            count,
            -1,
            1,
            0,
        )
    });
}

/// virDomainMemoryStats.
pub fn memory(domain: &Domain, counts: &mut Counts) {
    let empty = bindings::virDomainMemoryStatStruct { tag: 0, val: 0 };
    let mut statistics = [empty; bindings::VIR_DOMAIN_MEMORY_STAT_NR as usize];
    // SAFETY: the buffer holds VIR_DOMAIN_MEMORY_STAT_NR entries.
    counts.count(unsafe {
        (domain.library.api.virDomainMemoryStats)(
            domain.pointer(),
            statistics.as_mut_ptr(),
            bindings::VIR_DOMAIN_MEMORY_STAT_NR,
            0,
        )
    });
}

/// virDomainBlockStats.
pub fn block(domain: &Domain, target: &CStr, counts: &mut Counts) {
    let mut statistics = MaybeUninit::<bindings::_virDomainBlockStats>::zeroed();
    // SAFETY: the buffer has the size that is passed.
    counts.count(unsafe {
        (domain.library.api.virDomainBlockStats)(
            domain.pointer(),
            target.as_ptr(),
            statistics.as_mut_ptr(),
            size_of_val(&statistics),
        )
    });
}

/// virDomainInterfaceStats.
pub fn interface(domain: &Domain, target: &CStr, counts: &mut Counts) {
    let mut statistics = MaybeUninit::<bindings::_virDomainInterfaceStats>::zeroed();
    // SAFETY: the buffer has the size that is passed.
    counts.count(unsafe {
        (domain.library.api.virDomainInterfaceStats)(
            domain.pointer(),
            target.as_ptr(),
            statistics.as_mut_ptr(),
            size_of_val(&statistics),
        )
    });
}

unsafe extern "C" {
    fn free(pointer: *mut c_void);
}
