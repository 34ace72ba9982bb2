//! The calls about the host.
//!
//! Each kind of call gives entities with texts and numbers. What libvirt does not say, or a driver does not support, is
//! not there. There can be any number of volumes, so when nobody waits for the answer any more, the rest is not asked for.

use std::collections::BTreeMap;
use std::ffi::{c_char, c_int, c_ulong, c_ulonglong};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;

use crate::allocated::{List, copy_text, take_text};
use crate::bindings;
use crate::call_times::CallLog;
use crate::connection::{Connection, Uuid, uuid_text};
use crate::dictionary::text;
use crate::error::{LibvirtError, code};
use crate::library::Library;
use crate::parameters::{bytes_until_nul, to_double};

/// The number of all CPUs or cells together. Source: `VIR_NODE_CPU_STATS_ALL_CPUS` and
/// `VIR_NODE_MEMORY_STATS_ALL_CELLS` in libvirt-host.h.
const ALL: c_int = -1;

/// Beyond this many missing ones no further NUMA cell is looked for.
const MAXIMUM_MISSING_CELLS: u32 = 64;

/// `virNodeGetInfo` gives the memory in KiB.
const BYTES_PER_KIB: f64 = 1024.0;

/// A kind of calls about the host. They are made in this order: what may hang comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostCall {
    /// The host itself and its NUMA cells.
    Node,
    /// Networks.
    Networks,
    /// Active storage pools.
    StoragePools,
    /// The volumes of the active storage pools.
    StorageVolumes,
}

/// Something of the host.
#[derive(Debug, Default, PartialEq)]
pub struct Entity {
    /// `node`, `cell`, `storage_pool`, `storage_volume` or `network`.
    pub kind: &'static str,
    /// Texts by name.
    pub texts: BTreeMap<&'static str, String>,
    /// Numbers by name.
    pub numbers: BTreeMap<String, f64>,
}

/// What a kind of calls gave.
#[derive(Debug, Default)]
pub struct HostReading {
    /// In libvirt's order.
    pub entities: Vec<Entity>,
    /// The calls that failed.
    pub errors: Vec<LibvirtError>,
}

impl HostCall {
    /// All of them, with the bits that ask for them.
    pub const ALL: [(Self, u32); 4] = [
        (Self::Node, 1 << 0),
        (Self::Networks, 1 << 3),
        (Self::StoragePools, 1 << 1),
        (Self::StorageVolumes, 1 << 2),
    ];

    /// The function that stands for all of its calls.
    pub fn main_function(self) -> &'static str {
        match self {
            Self::Node => "virNodeGetInfo",
            Self::Networks => "virConnectListAllNetworks",
            Self::StoragePools | Self::StorageVolumes => "virConnectListAllStoragePools",
        }
    }

    /// Makes the calls.
    pub fn read(self, connection: &Arc<Connection>, log: &CallLog) -> HostReading {
        let mut asker = Asker { connection, log, reading: HostReading::default() };
        match self {
            Self::Node => asker.node(),
            Self::Networks => asker.networks(),
            Self::StoragePools => asker.storage_pools(),
            Self::StorageVolumes => asker.storage_volumes(),
        }
        asker.reading
    }
}

impl Entity {
    fn new(kind: &'static str) -> Self {
        Self { kind, ..Self::default() }
    }

    fn text(&mut self, name: &'static str, text: Option<String>) {
        if let Some(text) = text {
            self.texts.insert(name, text);
        }
    }

    fn number(&mut self, name: impl Into<String>, value: impl Into<f64>) {
        self.numbers.insert(name.into(), value.into());
    }
}

/// Makes calls and keeps what fails.
struct Asker<'a> {
    connection: &'a Arc<Connection>,
    log: &'a CallLog,
    reading: HostReading,
}

impl Asker<'_> {
    fn library(&self) -> &'static Library {
        self.connection.library()
    }

    /// Makes a call that gives a number, negative for an error.
    fn call(
        &mut self,
        name: &'static str,
        call: impl FnOnce(&bindings::Libvirt) -> c_int,
    ) -> Option<c_int> {
        let result = self.attempt(name, call);
        self.keep(result)
    }

    fn attempt(
        &self,
        name: &'static str,
        call: impl FnOnce(&bindings::Libvirt) -> c_int,
    ) -> Result<c_int, LibvirtError> {
        let library = self.library();
        let result = self.log.time(name, || call(&library.api));
        if result < 0 { Err(LibvirtError::last(library, name)) } else { Ok(result) }
    }

    /// What the driver cannot give is absent, and what is there no longer is no failure.
    fn keep<T>(&mut self, result: Result<T, LibvirtError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                if !error.is_unsupported() && !is_missing(&error) {
                    self.reading.errors.push(error);
                }
                None
            }
        }
    }

    /// A call that gives a truth value or a number, which becomes a number of the entity.
    fn number(
        &mut self,
        entity: &mut Entity,
        field: &str,
        name: &'static str,
        call: impl FnOnce(&bindings::Libvirt) -> c_int,
    ) -> Option<c_int> {
        let value = self.call(name, call)?;
        entity.number(field, value);
        Some(value)
    }

    /// As `number`, for calls that write what they give.
    fn written(
        &mut self,
        entity: &mut Entity,
        field: &str,
        name: &'static str,
        call: impl FnOnce(&bindings::Libvirt, *mut c_int) -> c_int,
    ) {
        let mut value = 0;
        if self.call(name, |api| call(api, &raw mut value)).is_some() {
            entity.number(field, value);
        }
    }

    fn version(
        &mut self,
        entity: &mut Entity,
        field: &str,
        name: &'static str,
        call: impl FnOnce(&bindings::Libvirt, *mut c_ulong) -> c_int,
    ) {
        let mut version = 0;
        if self.call(name, |api| call(api, &raw mut version)).is_some() && version > 0 {
            entity.number(field, to_double(version));
        }
    }

    fn node(&mut self) {
        let pointer = self.connection.pointer();
        let mut node = Entity::new("node");
        // SAFETY (of the calls, here and below): the connection is open, and what is written to may be written to.
        let mut information = MaybeUninit::<bindings::virNodeInfo>::zeroed();
        let given = self.call("virNodeGetInfo", |api| {
            // SAFETY: see above.
            unsafe { (api.virNodeGetInfo)(pointer, information.as_mut_ptr()) }
        });
        let mut cells = 0;
        if given.is_some() {
            // SAFETY: a zeroed structure of integers is valid, and libvirt has filled it.
            let information = unsafe { information.assume_init() };
            cells = information.nodes;
            node.text("model", Some(text(bytes_until_nul(&information.model))));
            node.number("memory", to_double(information.memory) * BYTES_PER_KIB);
            node.number("cpus", information.cpus);
            node.number("megahertz", information.mhz);
            node.number("nodes", information.nodes);
            node.number("sockets", information.sockets);
            node.number("cores", information.cores);
            node.number("threads", information.threads);
        }
        let processors = self.processor_statistics();
        for (field, value) in self.keep(processors).unwrap_or_default() {
            node.number(format!("cpu.{field}"), value);
        }
        let memory = self.memory_statistics(ALL);
        for (field, value) in self.keep(memory).unwrap_or_default() {
            node.number(format!("memory.{field}"), value);
        }
        self.version(&mut node, "version.hypervisor", "virConnectGetVersion", |api, version| {
            // SAFETY: see above.
            unsafe { (api.virConnectGetVersion)(pointer, version) }
        });
        self.version(&mut node, "version.daemon", "virConnectGetLibVersion", |api, version| {
            // SAFETY: see above.
            unsafe { (api.virConnectGetLibVersion)(pointer, version) }
        });
        self.version(&mut node, "version.client", "virGetVersion", |api, version| {
            // SAFETY: see above; null types ask for the library's own version.
            unsafe { (api.virGetVersion)(version, ptr::null(), ptr::null_mut()) }
        });
        let kind = self.log.time("virConnectGetType", || {
            // SAFETY: see above.
            unsafe { (self.library().api.virConnectGetType)(pointer) }
        });
        // SAFETY: the text belongs to the connection.
        node.text("type", unsafe { copy_text(kind) });
        self.reading.entities.push(node);
        self.cells(cells);
    }

    /// The NUMA cells. Their numbers may have gaps, and a kernel without NUMA has none though libvirt counts one.
    fn cells(&mut self, count: u32) {
        let (mut found, mut missing) = (0, 0);
        for number in 0.. {
            if found == count || missing == MAXIMUM_MISSING_CELLS || self.log.is_closed() {
                return;
            }
            match self.memory_statistics(c_int::try_from(number).unwrap_or(c_int::MAX)) {
                Ok(statistics) => {
                    found += 1;
                    let mut cell = Entity::new("cell");
                    cell.number("cell", number);
                    for (field, value) in statistics {
                        cell.number(format!("memory.{field}"), value);
                    }
                    self.reading.entities.push(cell);
                }
                // There is no such cell.
                Err(error) if error.code == code::SYSTEM_ERROR => missing += 1,
                // There is none with this number or a higher one.
                Err(error) if error.code == code::INVALID_ARGUMENT => return,
                Err(error) => {
                    self.keep::<()>(Err(error));
                    return;
                }
            }
        }
    }

    fn processor_statistics(&self) -> Result<Vec<(String, f64)>, LibvirtError> {
        const CALL: &str = "virNodeGetCPUStats";
        let pointer = self.connection.pointer();
        let empty = bindings::virNodeCPUStats { field: [0; 80], value: 0 };
        let mut count = 0;
        self.attempt(CALL, |api| {
            // SAFETY: the connection is open; without a buffer libvirt tells how many there are.
            unsafe { (api.virNodeGetCPUStats)(pointer, ALL, ptr::null_mut(), &raw mut count, 0) }
        })?;
        let mut statistics = vec![empty; usize::try_from(count).unwrap_or_default()];
        self.attempt(CALL, |api| {
            // SAFETY: the connection is open, and the buffer holds `count` entries.
            unsafe {
                (api.virNodeGetCPUStats)(pointer, ALL, statistics.as_mut_ptr(), &raw mut count, 0)
            }
        })?;
        let given = statistics.iter().take(usize::try_from(count).unwrap_or_default());
        Ok(given.map(|one| statistic(&one.field, one.value)).collect())
    }

    fn memory_statistics(&self, cell: c_int) -> Result<Vec<(String, f64)>, LibvirtError> {
        const CALL: &str = "virNodeGetMemoryStats";
        let pointer = self.connection.pointer();
        let empty = bindings::virNodeMemoryStats { field: [0; 80], value: 0 };
        let mut count = 0;
        self.attempt(CALL, |api| {
            // SAFETY: the connection is open; without a buffer libvirt tells how many there are.
            unsafe {
                (api.virNodeGetMemoryStats)(pointer, cell, ptr::null_mut(), &raw mut count, 0)
            }
        })?;
        let mut statistics = vec![empty; usize::try_from(count).unwrap_or_default()];
        self.attempt(CALL, |api| {
            // SAFETY: the connection is open, and the buffer holds `count` entries.
            unsafe {
                (api.virNodeGetMemoryStats)(
                    pointer,
                    cell,
                    statistics.as_mut_ptr(),
                    &raw mut count,
                    0,
                )
            }
        })?;
        let given = statistics.iter().take(usize::try_from(count).unwrap_or_default());
        Ok(given.map(|one| statistic(&one.field, one.value)).collect())
    }

    /// The active storage pools. A pool is never refreshed: that would reach for its storage.
    fn list_pools(&mut self) -> Option<List<bindings::_virStoragePool>> {
        let pointer = self.connection.pointer();
        let mut list = ptr::null_mut();
        let count = self.call("virConnectListAllStoragePools", |api| {
            let active = bindings::VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE;
            // SAFETY: the connection is open and the list may be written to.
            unsafe { (api.virConnectListAllStoragePools)(pointer, &raw mut list, active) }
        })?;
        let length = usize::try_from(count).unwrap_or_default();
        // SAFETY: libvirt gave a list of `length` pools.
        Some(unsafe { List::from_owned(list, length, self.library().api.virStoragePoolFree) })
    }

    fn storage_pools(&mut self) {
        let Some(pools) = self.list_pools() else { return };
        for pool in while_wanted(&pools, self.log) {
            let mut entity = Entity::new("storage_pool");
            entity.text("name", self.pool_name(pool));
            // SAFETY (of the calls, here and below): the pool is one of the list, and what is written to may be written
            // to.
            let uuid = uuid_of(|uuid| {
                // SAFETY: see above; the buffer is as large as a UUID.
                unsafe { (self.library().api.virStoragePoolGetUUID)(pool, uuid) }
            });
            entity.text("uuid", uuid);
            let mut information = MaybeUninit::<bindings::virStoragePoolInfo>::zeroed();
            let given = self.attempt("virStoragePoolGetInfo", |api| {
                // SAFETY: see above.
                unsafe { (api.virStoragePoolGetInfo)(pool, information.as_mut_ptr()) }
            });
            if given.as_ref().is_err_and(is_missing) {
                continue;
            }
            if self.keep(given).is_some() {
                // SAFETY: a zeroed structure of integers is valid, and libvirt has filled it.
                let information = unsafe { information.assume_init() };
                entity.number("state", information.state);
                entity.number("capacity", to_double(information.capacity));
                entity.number("allocation", to_double(information.allocation));
                entity.number("available", to_double(information.available));
            }
            self.number(&mut entity, "volumes", "virStoragePoolNumOfVolumes", |api| {
                // SAFETY: see above.
                unsafe { (api.virStoragePoolNumOfVolumes)(pool) }
            });
            self.number(&mut entity, "persistent", "virStoragePoolIsPersistent", |api| {
                // SAFETY: see above.
                unsafe { (api.virStoragePoolIsPersistent)(pool) }
            });
            self.written(&mut entity, "autostart", "virStoragePoolGetAutostart", |api, value| {
                // SAFETY: see above.
                unsafe { (api.virStoragePoolGetAutostart)(pool, value) }
            });
            self.reading.entities.push(entity);
        }
    }

    fn pool_name(&self, pool: bindings::virStoragePoolPtr) -> Option<String> {
        // SAFETY: the pool is valid; its name belongs to it and is copied.
        unsafe { copy_text((self.library().api.virStoragePoolGetName)(pool)) }
    }

    fn storage_volumes(&mut self) {
        let Some(pools) = self.list_pools() else { return };
        for pool in while_wanted(&pools, self.log) {
            let name = self.pool_name(pool);
            let mut list = ptr::null_mut();
            let count = self.call("virStoragePoolListAllVolumes", |api| {
                // SAFETY: the pool is one of the list, and the list of volumes may be written to.
                unsafe { (api.virStoragePoolListAllVolumes)(pool, &raw mut list, 0) }
            });
            let Some(count) = count else { continue };
            let length = usize::try_from(count).unwrap_or_default();
            // SAFETY: libvirt gave a list of `length` volumes.
            let volumes =
                unsafe { List::from_owned(list, length, self.library().api.virStorageVolFree) };
            for volume in while_wanted(&volumes, self.log) {
                self.storage_volume(name.clone(), volume);
            }
        }
    }

    fn storage_volume(&mut self, pool: Option<String>, volume: bindings::virStorageVolPtr) {
        let mut entity = Entity::new("storage_volume");
        entity.text("pool", pool);
        // SAFETY: the volume is valid; its name belongs to it and is copied.
        entity
            .text("name", unsafe { copy_text((self.library().api.virStorageVolGetName)(volume)) });
        let mut information = MaybeUninit::<bindings::virStorageVolInfo>::zeroed();
        let given = self.attempt("virStorageVolGetInfo", |api| {
            // SAFETY: the volume is valid and the structure may be written to.
            unsafe { (api.virStorageVolGetInfo)(volume, information.as_mut_ptr()) }
        });
        if given.as_ref().is_err_and(is_missing) {
            return;
        }
        if self.keep(given).is_some() {
            // SAFETY: a zeroed structure of integers is valid, and libvirt has filled it.
            let information = unsafe { information.assume_init() };
            entity.number("type", information.type_);
            entity.number("capacity", to_double(information.capacity));
            entity.number("allocation", to_double(information.allocation));
        }
        self.reading.entities.push(entity);
    }

    fn networks(&mut self) {
        let pointer = self.connection.pointer();
        let mut list = ptr::null_mut();
        let count = self.call("virConnectListAllNetworks", |api| {
            // SAFETY: the connection is open and the list may be written to.
            unsafe { (api.virConnectListAllNetworks)(pointer, &raw mut list, 0) }
        });
        let Some(count) = count else { return };
        let length = usize::try_from(count).unwrap_or_default();
        // SAFETY: libvirt gave a list of `length` networks.
        let networks = unsafe { List::from_owned(list, length, self.library().api.virNetworkFree) };
        for network in while_wanted(&networks, self.log) {
            self.network(network);
        }
    }

    fn network(&mut self, network: bindings::virNetworkPtr) {
        let library = self.library();
        let mut entity = Entity::new("network");
        // SAFETY: the network is valid; its name belongs to it and is copied.
        let name = unsafe { copy_text((library.api.virNetworkGetName)(network)) };
        entity.text("name", name);
        // SAFETY (of the calls, here and below): the network is valid, and what is written to may be written to.
        let uuid = uuid_of(|uuid| {
            // SAFETY: see above; the buffer is as large as a UUID.
            unsafe { (library.api.virNetworkGetUUID)(network, uuid) }
        });
        entity.text("uuid", uuid);
        let active = self.attempt("virNetworkIsActive", |api| {
            // SAFETY: see above.
            unsafe { (api.virNetworkIsActive)(network) }
        });
        if active.as_ref().is_err_and(is_missing) {
            return;
        }
        let active = self.keep(active);
        if let Some(active) = active {
            entity.number("active", active);
        }
        // A network without a bridge is an error for libvirt, and none for us.
        let bridge = self.log.time("virNetworkGetBridgeName", || {
            // SAFETY: see above.
            unsafe { (library.api.virNetworkGetBridgeName)(network) }
        });
        // SAFETY: libvirt hands the text over, to be freed by `free()`.
        entity.text("bridge", unsafe { take_text(bridge) });
        self.number(&mut entity, "persistent", "virNetworkIsPersistent", |api| {
            // SAFETY: see above.
            unsafe { (api.virNetworkIsPersistent)(network) }
        });
        self.written(&mut entity, "autostart", "virNetworkGetAutostart", |api, value| {
            // SAFETY: see above.
            unsafe { (api.virNetworkGetAutostart)(network, value) }
        });
        if active == Some(1) {
            self.number(&mut entity, "dhcp_leases", "virNetworkGetDHCPLeases", |api| {
                // SAFETY: see above; null asks for the leases of all, and for their count alone.
                unsafe { (api.virNetworkGetDHCPLeases)(network, ptr::null(), ptr::null_mut(), 0) }
            });
        }
        self.reading.entities.push(entity);
    }
}

/// The objects of a list, until nobody waits for the task any more.
fn while_wanted<T>(list: &List<T>, log: &CallLog) -> impl Iterator<Item = *mut T> {
    list.objects().iter().copied().take_while(|_| !log.is_closed())
}

/// Whether the object has gone since it was listed.
fn is_missing(error: &LibvirtError) -> bool {
    matches!(error.code, code::NO_STORAGE_POOL | code::NO_STORAGE_VOLUME | code::NO_NETWORK)
}

fn statistic(field: &[c_char], value: c_ulonglong) -> (String, f64) {
    (text(bytes_until_nul(field)), to_double(value))
}

fn uuid_of(call: impl FnOnce(*mut u8) -> c_int) -> Option<String> {
    let mut uuid = Uuid::default();
    (call(uuid.as_mut_ptr()) == 0).then(|| uuid_text(&uuid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    use crate::call_times::CallTimes;
    use crate::library::library;

    #[test]
    fn calls_about_each_object_end_when_nobody_waits_for_the_answer() {
        let library = library().expect("libvirt's client library is installed");
        let connection = Connection::open(library, c"test:///default", 1, &Arc::default());
        let connection = Arc::new(connection.expect("the test driver opens"));
        let log = CallLog::default();
        let found = |call: HostCall| call.read(&connection, &log).entities.len();
        assert_eq!([HostCall::StoragePools, HostCall::Networks].map(found), [1, 1]);
        CallTimes::default().close(&log, Duration::ZERO, Instant::now());
        assert_eq!([HostCall::StoragePools, HostCall::Networks].map(found), [0, 0]);
    }
}
