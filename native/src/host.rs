//! The calls about the host.
//!
//! Each kind of call gives entities with texts and numbers. What libvirt does not say, or a driver does not support, is
//! not there. There can be any number of volumes, so when nobody waits for the answer any more, the rest is not asked for.

use std::ffi::{c_char, c_int, c_ulonglong};
use std::ptr;

use crate::allocated::{List, copy_text, take_text};
use crate::answers::{Entity, Statistics};
use crate::bindings;
use crate::call_log::CallLog;
use crate::caller::{Caller, call};
use crate::calls::host_calls;
use crate::connection::{Uuid, uuid_text};
use crate::dictionary::text;
use crate::error::{LibvirtError, Result};
use crate::parameters::bytes_until_nul;
use crate::reading::Reading;
use crate::row::to_double;

/// The number of all CPUs or cells together. Source: `VIR_NODE_CPU_STATS_ALL_CPUS` and
/// `VIR_NODE_MEMORY_STATS_ALL_CELLS` in libvirt-host.h.
const ALL: c_int = -1;

/// Beyond this many missing ones no further NUMA cell is looked for.
const MAXIMUM_MISSING_CELLS: u32 = 64;

/// `virNodeGetInfo` gives the memory in KiB.
const BYTES_PER_KIB: f64 = 1024.0;

/// Source: `VIR_STORAGE_POOL_INACTIVE` in libvirt-storage.h.
const POOL_INACTIVE: i32 = 0;

/// A kind of calls about the host.
#[derive(Clone, Copy)]
pub struct HostCall {
    /// What asks for it.
    pub bit: u32,
    /// The function that stands for all of its calls.
    pub function: &'static str,
    read: fn(&mut Asker),
}

const LIST_POOLS: &str = "virConnectListAllStoragePools";

/// All kinds. They are asked in this order: what may hang comes last.
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the methods are of one lifetime each"
)]
pub const HOST_CALLS: [HostCall; 4] = [
    HostCall::new(host_calls::NODE, "virNodeGetInfo", |asker| asker.node()),
    HostCall::new(host_calls::NETWORKS, "virConnectListAllNetworks", |asker| asker.networks()),
    HostCall::new(host_calls::STORAGE_POOLS, LIST_POOLS, |asker| asker.storage_pools()),
    HostCall::new(host_calls::STORAGE_VOLUMES, LIST_POOLS, |asker| asker.storage_volumes()),
];

impl HostCall {
    const fn new(bit: u32, function: &'static str, read: fn(&mut Asker)) -> Self {
        Self { bit, function, read }
    }

    /// Makes the calls.
    pub fn read(self, caller: Caller) -> Reading {
        (self.read)(&mut Asker { caller, entity: Entity::default(), has_gone: false });
        caller.log.take_reading()
    }
}

impl Entity {
    fn text(&mut self, name: &'static str, text: Option<String>) {
        self.texts.extend(text.map(|text| (name, text)));
    }

    fn number(&mut self, name: &str, value: impl Into<f64>) {
        self.numbers.insert(name.to_owned(), value.into());
    }

    /// What it is called, with its pool before it.
    fn name(&self) -> Option<String> {
        let texts: Vec<&str> = ["pool", "name"]
            .iter()
            .filter_map(|key| self.texts.get(key))
            .map(String::as_str)
            .collect();
        (!texts.is_empty()).then(|| texts.join("/"))
    }
}

/// Makes calls and keeps what fails.
struct Asker<'a> {
    caller: Caller<'a>,
    /// What is known of the object that is asked about.
    entity: Entity,
    /// Whether that has gone since it was listed.
    has_gone: bool,
}

impl Asker<'_> {
    /// What the driver cannot give is absent, and what is there no longer is no failure.
    fn keep<T>(&mut self, given: Result<T>) -> Option<T> {
        match given {
            Ok(value) => return Some(value),
            Err(error) if is_missing(&error) => self.has_gone = true,
            Err(error) if error.is_unsupported() => {}
            Err(error) => {
                let subjects = self.entity.name().into_iter().collect();
                self.caller.log.reading().fail(LibvirtError { subjects, ..error });
            }
        }
        None
    }

    /// Adds the number that a call has given, or keeps what failed.
    fn number<T: Into<f64> + Copy>(&mut self, name: &str, given: Result<T>) -> Option<T> {
        let value = self.keep(given)?;
        self.entity.number(name, value);
        Some(value)
    }

    /// Adds an entity for each object of a list that is still there, as long as somebody waits for it.
    fn add_each<T>(
        &mut self,
        kind: &'static str,
        list: Option<List<T>>,
        describe: impl Fn(&mut Self, *mut T),
    ) {
        let Some(list) = list else { return };
        for object in while_wanted(&list, self.caller.log) {
            self.entity = Entity { kind, ..Entity::default() };
            self.has_gone = false;
            describe(self, object);
            if !self.has_gone {
                self.add_entity();
            }
        }
    }

    /// Adds the object that was asked about.
    fn add_entity(&mut self) {
        let entity = std::mem::take(&mut self.entity);
        self.caller.log.reading().entities.push(entity);
    }

    /// The host itself, and its NUMA cells.
    fn node(&mut self) {
        let (caller, pointer) = (self.caller, self.caller.pointer());
        self.entity.kind = "node";
        // SAFETY: the connection is open, and the structure may be written to.
        let given = unsafe { call!(caller, |place| virNodeGetInfo(pointer, place)) };
        let mut cells = 0;
        if let Some(information) = self.keep(given) {
            cells = information.nodes;
            let node = &mut self.entity;
            node.text("model", Some(text(bytes_until_nul(&information.model))));
            node.number("memory", to_double(information.memory) * BYTES_PER_KIB);
            node.number("cpus", information.cpus);
            node.number("megahertz", information.mhz);
            node.number("nodes", information.nodes);
            node.number("sockets", information.sockets);
            node.number("cores", information.cores);
            node.number("threads", information.threads);
        }
        for statistics in [self.processor_statistics(), self.memory_statistics(ALL)] {
            let numbers = self.keep(statistics);
            self.entity.numbers.extend(numbers.unwrap_or_default());
        }
        // SAFETY: the connection is open, and the version may be written to.
        let hypervisor = unsafe { call!(caller, |place| virConnectGetVersion(pointer, place)) };
        // SAFETY: as above.
        let daemon = unsafe { call!(caller, |place| virConnectGetLibVersion(pointer, place)) };
        // SAFETY: the version may be written to; null types ask for the library's own one.
        let client =
            unsafe { call!(caller, |place| virGetVersion(place, ptr::null(), ptr::null_mut())) };
        for (of, version) in [("hypervisor", hypervisor), ("daemon", daemon), ("client", client)] {
            if let Some(version) = self.keep(version).filter(|&version| version > 0) {
                self.entity.number(&format!("version.{of}"), to_double(version));
            }
        }
        // SAFETY: the connection is open.
        let ask = || unsafe { (caller.library().api.virConnectGetType)(pointer) };
        // SAFETY: the text belongs to the connection.
        self.entity.text("type", unsafe { copy_text(caller.log.time("virConnectGetType", ask)) });
        self.add_entity();
        self.cells(cells);
    }

    /// The NUMA cells. Their numbers may have gaps, and a kernel without NUMA has none though libvirt counts one.
    fn cells(&mut self, count: u32) {
        let (mut found, mut missing) = (0, 0);
        for number in 0.. {
            if found == count || missing == MAXIMUM_MISSING_CELLS || self.caller.log.is_closed() {
                return;
            }
            match self.memory_statistics(number) {
                Ok(numbers) => {
                    found += 1;
                    self.entity = Entity { kind: "cell", numbers, ..Entity::default() };
                    self.entity.number("cell", number);
                    self.add_entity();
                }
                // There is no such cell.
                Err(error) if error.is(bindings::VIR_ERR_SYSTEM_ERROR) => missing += 1,
                // There is none with this number or a higher one.
                Err(error) if error.is(bindings::VIR_ERR_INVALID_ARG) => return,
                Err(error) => {
                    self.keep::<()>(Err(error));
                    return;
                }
            }
        }
    }

    fn processor_statistics(&self) -> Result<Statistics> {
        let (caller, pointer) = (self.caller, self.caller.pointer());
        // SAFETY: the connection is open, and the buffer is null or holds `count` entries.
        let ask = |buffer, count| unsafe {
            call!(caller, virNodeGetCPUStats(pointer, ALL, buffer, count, 0))
        };
        let read = |one: &bindings::virNodeCPUStats| statistic("cpu", &one.field, one.value);
        read_statistics(ask, read)
    }

    fn memory_statistics(&self, cell: c_int) -> Result<Statistics> {
        let (caller, pointer) = (self.caller, self.caller.pointer());
        // SAFETY: the connection is open, and the buffer is null or holds `count` entries.
        let ask = |buffer, count| unsafe {
            call!(caller, virNodeGetMemoryStats(pointer, cell, buffer, count, 0))
        };
        let read = |one: &bindings::virNodeMemoryStats| statistic("memory", &one.field, one.value);
        read_statistics(ask, read)
    }

    /// Storage pools; all of them where no flags are given. A pool is never refreshed: that would reach for its storage.
    fn list_pools(&mut self, flags: u32) -> Option<List<bindings::virStoragePool>> {
        let (caller, pointer) = (self.caller, self.caller.pointer());
        // SAFETY: the connection is open, and the list that libvirt gives is ours.
        let pools = unsafe {
            call!(
                caller,
                |list| virConnectListAllStoragePools(pointer, list, flags),
                virStoragePoolFree
            )
        };
        self.keep(pools)
    }

    fn storage_pools(&mut self) {
        let pools = self.list_pools(0);
        self.add_each("storage_pool", pools, Self::storage_pool);
    }

    fn storage_pool(&mut self, pool: bindings::virStoragePoolPtr) {
        let caller = self.caller;
        self.entity.text("name", self.pool_name(pool));
        let read_uuid = caller.library().api.virStoragePoolGetUUID;
        // SAFETY: the pool is valid, and the buffer is as large as a UUID.
        self.entity.text("uuid", uuid_of(|uuid| unsafe { read_uuid(pool, uuid) }));
        // SAFETY: the pool is valid, and the structure may be written to.
        let given = unsafe { call!(caller, |place| virStoragePoolGetInfo(pool, place)) };
        let mut is_active = true;
        if let Some(information) = self.keep(given) {
            self.entity.number("state", information.state);
            is_active = information.state != POOL_INACTIVE;
            if is_active {
                self.entity.number("capacity", to_double(information.capacity));
                self.entity.number("allocation", to_double(information.allocation));
                self.entity.number("available", to_double(information.available));
            }
        }
        // libvirt knows nothing of what is in a pool that is stopped.
        if is_active {
            // SAFETY: the pool is valid.
            self.number("volumes", unsafe { call!(caller, virStoragePoolNumOfVolumes(pool)) });
        }
        // SAFETY: the pool is valid.
        self.number("persistent", unsafe { call!(caller, virStoragePoolIsPersistent(pool)) });
        // SAFETY: the pool is valid, and the value may be written to.
        self.number("autostart", unsafe {
            call!(caller, |place| virStoragePoolGetAutostart(pool, place))
        });
    }

    fn pool_name(&self, pool: bindings::virStoragePoolPtr) -> Option<String> {
        // SAFETY: the pool is valid; its name belongs to it and is copied.
        unsafe { copy_text((self.caller.library().api.virStoragePoolGetName)(pool)) }
    }

    fn storage_volumes(&mut self) {
        let caller = self.caller;
        let active = bindings::VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE;
        let Some(pools) = self.list_pools(active) else { return };
        for pool in while_wanted(&pools, caller.log) {
            let name = self.pool_name(pool);
            self.entity = Entity::default();
            self.entity.text("pool", name.clone());
            // SAFETY: the pool is one of the list, and the list of volumes that libvirt gives is ours.
            let volumes = unsafe {
                call!(caller, |list| virStoragePoolListAllVolumes(pool, list, 0), virStorageVolFree)
            };
            let volumes = self.keep(volumes);
            self.add_each("storage_volume", volumes, |asker, volume| {
                asker.entity.text("pool", name.clone());
                asker.storage_volume(volume);
            });
        }
    }

    fn storage_volume(&mut self, volume: bindings::virStorageVolPtr) {
        let caller = self.caller;
        // SAFETY: the volume is valid; its name belongs to it and is copied.
        let name = unsafe { copy_text((caller.library().api.virStorageVolGetName)(volume)) };
        self.entity.text("name", name);
        // SAFETY: the volume is valid, and the structure may be written to.
        let given = unsafe { call!(caller, |place| virStorageVolGetInfo(volume, place)) };
        if let Some(information) = self.keep(given) {
            self.entity.number("type", information.type_);
            self.entity.number("capacity", to_double(information.capacity));
            self.entity.number("allocation", to_double(information.allocation));
        }
    }

    fn networks(&mut self) {
        let (caller, pointer) = (self.caller, self.caller.pointer());
        // SAFETY: the connection is open, and the list that libvirt gives is ours.
        let networks = unsafe {
            call!(caller, |list| virConnectListAllNetworks(pointer, list, 0), virNetworkFree)
        };
        let networks = self.keep(networks);
        self.add_each("network", networks, Self::network);
    }

    fn network(&mut self, network: bindings::virNetworkPtr) {
        let (caller, api) = (self.caller, &self.caller.library().api);
        // SAFETY: the network is valid; its name belongs to it and is copied.
        self.entity.text("name", unsafe { copy_text((api.virNetworkGetName)(network)) });
        // SAFETY: the network is valid, and the buffer is as large as a UUID.
        self.entity.text("uuid", uuid_of(|uuid| unsafe { (api.virNetworkGetUUID)(network, uuid) }));
        // SAFETY: the network is valid.
        let active = self.number("active", unsafe { call!(caller, virNetworkIsActive(network)) });
        // SAFETY: the network is valid.
        let ask = || unsafe { (api.virNetworkGetBridgeName)(network) };
        // A network without a bridge is an error for libvirt, and none for us.
        // SAFETY: libvirt hands the text over, to be freed by `free()`.
        let bridge = unsafe { take_text(caller.log.time("virNetworkGetBridgeName", ask)) };
        self.entity.text("bridge", bridge);
        // SAFETY: the network is valid.
        self.number("persistent", unsafe { call!(caller, virNetworkIsPersistent(network)) });
        // SAFETY: the network is valid, and the value may be written to.
        self.number("autostart", unsafe {
            call!(caller, |place| virNetworkGetAutostart(network, place))
        });
        if active == Some(1) {
            // SAFETY: the network is valid; null asks for the leases of all, and for their count alone.
            let leases = unsafe {
                call!(caller, virNetworkGetDHCPLeases(network, ptr::null(), ptr::null_mut(), 0))
            };
            self.number("dhcp_leases", leases);
        }
    }
}

/// The objects of a list, until nobody waits for the task any more.
fn while_wanted<T>(list: &List<T>, log: &CallLog) -> impl Iterator<Item = *mut T> {
    list.objects().iter().copied().take_while(|_| !log.is_closed())
}

/// Whether the object has gone since it was listed.
fn is_missing(error: &LibvirtError) -> bool {
    error.is(bindings::VIR_ERR_NO_STORAGE_POOL)
        || error.is(bindings::VIR_ERR_NO_STORAGE_VOL)
        || error.is(bindings::VIR_ERR_NO_NETWORK)
}

fn uuid_of(call: impl FnOnce(*mut u8) -> c_int) -> Option<String> {
    let mut uuid = Uuid::default();
    (call(uuid.as_mut_ptr()) == 0).then(|| uuid_text(&uuid))
}

/// What a call gives that takes a buffer and its length; without a buffer it tells how many there are.
fn read_statistics<T: Clone + Default>(
    ask: impl Fn(*mut T, *mut c_int) -> Result<u32>,
    read: impl Fn(&T) -> (String, f64),
) -> Result<Statistics> {
    let mut count = 0;
    ask(ptr::null_mut(), &raw mut count)?;
    let mut buffer = vec![T::default(); usize::try_from(count).unwrap_or_default()];
    ask(buffer.as_mut_ptr(), &raw mut count)?;
    buffer.truncate(usize::try_from(count).unwrap_or_default());
    Ok(buffer.iter().map(read).collect())
}

fn statistic(group: &str, field: &[c_char], value: c_ulonglong) -> (String, f64) {
    (format!("{group}.{}", text(bytes_until_nul(field))), to_double(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use crate::connection::test_connection;

    #[test]
    fn calls_about_each_object_end_when_nobody_waits_for_the_answer() {
        let connection = test_connection();
        let (log, dictionary) = (CallLog::default(), Arc::default());
        let caller = Caller { connection: &connection, log: &log, dictionary: &dictionary };
        let found = || HOST_CALLS.map(|call| call.read(caller).entities.len());
        // The driver has one network, one pool without a volume, and says nothing of NUMA cells.
        assert_eq!(found()[1..], [1, 1, 0]);
        log.close(Duration::ZERO, Instant::now());
        assert_eq!(found()[1..], [0, 0, 0]);
    }
}
