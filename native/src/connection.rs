//! One open connection, its events, and the domains it hands out.

use std::collections::HashSet;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::bindings;
use crate::dictionary::text;
use crate::error::LibvirtError;
use crate::library::Library;
use crate::test_driver::unreadable_file;

/// Seconds between keepalive messages, and how many may stay unanswered. A daemon that stopped or a network
/// that broke is noticed after about `interval * (count + 1)` seconds; calls on it then fail.
const KEEPALIVE_INTERVAL_SECONDS: c_int = 5;
const KEEPALIVE_COUNT: u32 = 3;

/// Beyond this many changed domains it is cheaper to look at all of them again.
const MAXIMUM_CHANGES: usize = 10_000;

/// From this release of the daemon on, reading a domain's definition waits for the domain's job.
const DEFINITION_NEEDS_JOB_SINCE: u64 = 11_000_000;

/// A UUID as libvirt's binary form.
pub type Uuid = [u8; bindings::VIR_UUID_BUFLEN as usize];

/// Domains whose definition may have changed, as libvirt's events tell.
#[derive(Default)]
pub struct Changes {
    noted: Mutex<Noted>,
}

/// What events have told since it was last taken.
#[derive(Clone, Default)]
pub struct Noted {
    /// The domains that changed.
    pub domains: HashSet<Uuid>,
    /// More changed than were noted, or changes went unnoticed while there was no connection.
    pub all: bool,
}

impl Changes {
    /// Takes what was noted.
    pub fn take(&self) -> Noted {
        std::mem::take(&mut *self.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says that changes may have gone unnoticed.
    pub fn note_all(&self) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.domains = HashSet::new();
        noted.all = true;
    }

    fn note(&self, domain: Uuid) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.domains.len() >= MAXIMUM_CHANGES {
            noted.domains = HashSet::new();
            noted.all = true;
        }
        if !noted.all {
            noted.domains.insert(domain);
        }
    }
}

/// A read-only connection. Threads may share it. Dropping it closes it, which may block: drop it where
/// blocking does no harm.
pub struct Connection {
    library: &'static Library,
    pointer: NonNull<bindings::virConnect>,
    callbacks: Vec<c_int>,
    serial: u64,
    knows_nowait: AtomicBool,
    knows_block_parameters: AtomicBool,
    has_bulk: OnceLock<bool>,
    daemon_version: u64,
}

// SAFETY: libvirt's connections are reference-counted objects with locks of their own; its documentation
// allows any thread to use one ("the API is thread-safe", https://libvirt.org/api.html).
unsafe impl Send for Connection {}
// SAFETY: as above.
unsafe impl Sync for Connection {}

/// A domain of a connection. It is only an identity: it holds no state of the domain itself.
pub struct Domain {
    connection: Arc<Connection>,
    pointer: NonNull<bindings::virDomain>,
    // libvirt writes the UUID as text, for its own log, whenever it is asked about a handle: once is enough.
    uuid: Uuid,
    id: i32,
}

// SAFETY: as for Connection: a virDomain is an immutable, reference-counted handle.
unsafe impl Send for Domain {}
// SAFETY: as above.
unsafe impl Sync for Domain {}

impl Connection {
    /// Opens `uri` read-only, asks for keepalive, and subscribes to events that change definitions. What the
    /// driver does not offer of these is left out. Blocks for as long as libvirt does.
    ///
    /// # Errors
    /// What libvirt said when it did not open.
    pub fn open(
        library: &'static Library,
        uri: &CStr,
        serial: u64,
        changes: &Arc<Changes>,
    ) -> Result<Self, LibvirtError> {
        if let Some(reason) = unreadable_file(uri) {
            return Err(LibvirtError::own("virConnectOpenReadOnly", reason));
        }
        // SAFETY: `uri` is NUL-terminated and outlives the call.
        let pointer = unsafe { (library.api.virConnectOpenReadOnly)(uri.as_ptr()) };
        let pointer = NonNull::new(pointer)
            .ok_or_else(|| LibvirtError::last(library, "virConnectOpenReadOnly"))?;
        let mut connection = Self {
            library,
            pointer,
            callbacks: Vec::new(),
            serial,
            knows_nowait: AtomicBool::new(true),
            knows_block_parameters: AtomicBool::new(true),
            has_bulk: OnceLock::new(),
            daemon_version: 0,
        };
        // First of all, lest a further call wait forever for a host that has just gone.
        // SAFETY: the connection is open; an event loop runs, as this call demands.
        unsafe {
            (library.api.virConnectSetKeepAlive)(
                pointer.as_ptr(),
                KEEPALIVE_INTERVAL_SECONDS,
                KEEPALIVE_COUNT,
            )
        };
        connection.daemon_version = connection.ask_daemon_version();
        connection.subscribe(changes);
        Ok(connection)
    }

    /// The library it was opened with.
    pub fn library(&self) -> &'static Library {
        self.library
    }

    /// The raw pointer, valid as long as the connection.
    pub fn pointer(&self) -> *mut bindings::virConnect {
        self.pointer.as_ptr()
    }

    /// Its number among the connections that this process opened.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// False once the other side has gone. Makes no call to the daemon.
    pub fn is_alive(&self) -> bool {
        // SAFETY: the connection is open.
        unsafe { (self.library.api.virConnectIsAlive)(self.pointer()) == 1 }
    }

    /// Asks for something that the daemon answers at once.
    pub fn ping(&self) {
        self.ask_daemon_version();
    }

    /// The release of the daemon, such as 9,000,000; 0, "old", where it does not say.
    fn ask_daemon_version(&self) -> u64 {
        let mut version = 0;
        // SAFETY: the connection is open and the number may be written to.
        unsafe { (self.library.api.virConnectGetLibVersion)(self.pointer(), &raw mut version) };
        version
    }

    /// False once the daemon has refused the NOWAIT flag of bulk calls.
    pub fn knows_nowait(&self) -> bool {
        self.knows_nowait.load(Ordering::Relaxed)
    }

    /// Notes that the daemon refused the NOWAIT flag.
    pub fn forget_nowait(&self) {
        self.knows_nowait.store(false, Ordering::Relaxed);
    }

    /// False once the driver has refused `virDomainBlockStatsFlags`.
    pub fn knows_block_parameters(&self) -> bool {
        self.knows_block_parameters.load(Ordering::Relaxed)
    }

    /// Notes that the driver refused `virDomainBlockStatsFlags`.
    pub fn forget_block_parameters(&self) {
        self.knows_block_parameters.store(false, Ordering::Relaxed);
    }

    /// Whether the driver's bulk statistics go beyond the state (QEMU's do, the test driver's do not); `None` while no
    /// domain has told.
    pub fn has_bulk(&self) -> Option<bool> {
        self.has_bulk.get().copied()
    }

    /// Notes whether the driver's bulk statistics go beyond the state.
    pub fn note_bulk(&self, has_bulk: bool) {
        // What the first domains told stays true for the driver.
        let _ = self.has_bulk.set(has_bulk);
    }

    /// Whether reading a definition waits for whatever else is being done to the domain.
    pub fn definition_needs_job(&self) -> bool {
        self.daemon_version >= DEFINITION_NEEDS_JOB_SINCE
    }

    fn subscribe(&mut self, changes: &Arc<Changes>) {
        type Generic = bindings::virConnectDomainEventGenericCallback;
        // SAFETY (of the casts, here and below): libvirt calls a callback with the signature that belongs
        // to the event id it was registered for, and virConnectDomainEventRegisterAny takes every kind as
        // the generic one (its documentation asks for this cast, VIR_DOMAIN_EVENT_CALLBACK).
        let plain: Generic = Some(on_event);
        // SAFETY: see above; lifecycle callbacks have two int arguments.
        let lifecycle: Generic = unsafe {
            std::mem::transmute::<
                unsafe extern "C" fn(_, _, c_int, c_int, *mut c_void) -> c_int,
                unsafe extern "C" fn(_, _, *mut c_void),
            >(on_lifecycle)
        }
        .into();
        // SAFETY: see above; metadata callbacks have an int and a string argument.
        let metadata: Generic = unsafe {
            std::mem::transmute::<
                unsafe extern "C" fn(_, _, c_int, *const c_char, *mut c_void),
                unsafe extern "C" fn(_, _, *mut c_void),
            >(on_metadata)
        }
        .into();
        // SAFETY: see above; device callbacks have a string argument.
        let device: Generic = unsafe {
            std::mem::transmute::<
                unsafe extern "C" fn(_, _, *const c_char, *mut c_void),
                unsafe extern "C" fn(_, _, *mut c_void),
            >(on_device)
        }
        .into();
        // SAFETY: see above; block job callbacks have a string and two int arguments.
        let block_job: Generic = unsafe {
            std::mem::transmute::<
                unsafe extern "C" fn(_, _, *const c_char, c_int, c_int, *mut c_void),
                unsafe extern "C" fn(_, _, *mut c_void),
            >(on_block_job)
        }
        .into();
        // SAFETY: see above; callbacks for tuning have a list of parameters and its length.
        let tuning: Generic = unsafe {
            std::mem::transmute::<
                unsafe extern "C" fn(_, _, bindings::virTypedParameterPtr, c_int, *mut c_void),
                unsafe extern "C" fn(_, _, *mut c_void),
            >(on_tuning)
        }
        .into();
        for (event, callback) in [
            (bindings::VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle),
            (bindings::VIR_DOMAIN_EVENT_ID_REBOOT, plain),
            (bindings::VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, metadata),
            (bindings::VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, device),
            (bindings::VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, device),
            // The end of a copy may have put another kind of storage behind a disk.
            (bindings::VIR_DOMAIN_EVENT_ID_BLOCK_JOB, block_job),
            // Limits of disks and CPUs, which the definition has too, changed.
            (bindings::VIR_DOMAIN_EVENT_ID_TUNABLE, tuning),
        ] {
            let opaque = Arc::into_raw(Arc::clone(changes)).cast_mut().cast::<c_void>();
            // SAFETY: the connection is open; a null domain means all of them; `opaque` is a counted
            // reference that libvirt gives back to `release` when the callback is removed.
            let number = unsafe {
                (self.library.api.virConnectDomainEventRegisterAny)(
                    self.pointer(),
                    std::ptr::null_mut(),
                    event.cast_signed(),
                    callback,
                    opaque,
                    Some(release),
                )
            };
            // A reference that libvirt refused is not taken back: when it was the daemon that refused, libvirt's client
            // may have released it already (old ones do, newer ones while an event is being delivered). A count that
            // stays too high holds no more than `changes` itself, of which there is one for each hypervisor.
            if number >= 0 {
                self.callbacks.push(number);
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        for &number in &self.callbacks {
            // SAFETY: the number came from registering on this connection, which is still open. A
            // callback holds a reference to its connection: without this it would never close.
            unsafe {
                (self.library.api.virConnectDomainEventDeregisterAny)(self.pointer(), number);
            }
        }
        // SAFETY: this drops the one reference that `open` made; nothing uses the pointer afterwards.
        unsafe { (self.library.api.virConnectClose)(self.pointer()) };
    }
}

impl Domain {
    /// Takes over a reference that libvirt handed out.
    ///
    /// # Safety
    /// `pointer` is a domain of `connection`, and the caller owns one reference to it.
    pub unsafe fn from_owned(
        connection: &Arc<Connection>,
        pointer: NonNull<bindings::virDomain>,
    ) -> Self {
        // SAFETY: the pointer is valid; the call only reads the handle.
        let uuid = unsafe { uuid_of(connection.library, pointer.as_ptr()) };
        // SAFETY: as above.
        let id = unsafe { (connection.library.api.virDomainGetID)(pointer.as_ptr()) };
        Self { connection: Arc::clone(connection), pointer, uuid, id: id.cast_signed() }
    }

    /// The connection it belongs to.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// The library it came from.
    pub fn library(&self) -> &'static Library {
        self.connection.library
    }

    /// The raw pointer, valid as long as the domain.
    pub fn pointer(&self) -> *mut bindings::virDomain {
        self.pointer.as_ptr()
    }

    /// Its id on this host; -1 when it was not running.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Its UUID.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// Its name. Makes no call to the daemon.
    pub fn name(&self) -> String {
        // SAFETY: the pointer is valid; the string belongs to the handle and is copied at once.
        let name = unsafe { (self.library().api.virDomainGetName)(self.pointer()) };
        if name.is_null() {
            return String::new();
        }
        // SAFETY: a non-null name is NUL-terminated and lives as long as the handle.
        text(unsafe { CStr::from_ptr(name) }.to_bytes())
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        // SAFETY: gives back the reference taken over in `from_owned`.
        unsafe { (self.library().api.virDomainFree)(self.pointer()) };
    }
}

/// The text of a UUID: 8-4-4-4-12 lower-case hexadecimal digits.
pub fn uuid_text(uuid: &Uuid) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(36);
    for (position, byte) in uuid.iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A connection URI as C text.
///
/// # Errors
/// When it holds a NUL byte.
pub fn c_uri(uri: &str) -> Result<CString, LibvirtError> {
    CString::new(uri)
        .map_err(|_| LibvirtError::own("virConnectOpenReadOnly", "the URI holds a NUL byte"))
}

/// # Safety
/// `domain` is a valid domain.
unsafe fn uuid_of(library: &Library, domain: *mut bindings::virDomain) -> Uuid {
    let mut uuid = Uuid::default();
    // SAFETY: the domain is valid and the buffer has the size that libvirt writes.
    unsafe { (library.api.virDomainGetUUID)(domain, uuid.as_mut_ptr()) };
    uuid
}

/// # Safety
/// Called by libvirt with a valid domain and the `opaque` given at registration.
unsafe fn note(domain: *mut bindings::virDomain, opaque: *mut c_void) {
    let Ok(library) = crate::library::library() else {
        return;
    };
    if domain.is_null() {
        return;
    }
    // SAFETY: `opaque` is an `Arc<Changes>` that lives until `release`.
    let changes = unsafe { &*opaque.cast::<Changes>() };
    // SAFETY: libvirt passes a valid domain.
    changes.note(unsafe { uuid_of(library, domain) });
}

unsafe extern "C" fn on_event(
    _connection: *mut bindings::virConnect,
    domain: *mut bindings::virDomain,
    opaque: *mut c_void,
) {
    // SAFETY: libvirt calls with the arguments that `note` demands.
    unsafe { note(domain, opaque) };
}

unsafe extern "C" fn on_lifecycle(
    _connection: *mut bindings::virConnect,
    domain: *mut bindings::virDomain,
    _event: c_int,
    _detail: c_int,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: libvirt calls with the arguments that `note` demands.
    unsafe { note(domain, opaque) };
    0
}

unsafe extern "C" fn on_metadata(
    _connection: *mut bindings::virConnect,
    domain: *mut bindings::virDomain,
    _kind: c_int,
    _namespace: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: libvirt calls with the arguments that `note` demands.
    unsafe { note(domain, opaque) };
}

unsafe extern "C" fn on_device(
    _connection: *mut bindings::virConnect,
    domain: *mut bindings::virDomain,
    _alias: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: libvirt calls with the arguments that `note` demands.
    unsafe { note(domain, opaque) };
}

unsafe extern "C" fn on_block_job(
    _connection: *mut bindings::virConnect,
    domain: *mut bindings::virDomain,
    _disk: *const c_char,
    _kind: c_int,
    _status: c_int,
    opaque: *mut c_void,
) {
    // SAFETY: libvirt calls with the arguments that `note` demands.
    unsafe { note(domain, opaque) };
}

unsafe extern "C" fn on_tuning(
    _connection: *mut bindings::virConnect,
    domain: *mut bindings::virDomain,
    _parameters: bindings::virTypedParameterPtr,
    _count: c_int,
    opaque: *mut c_void,
) {
    // SAFETY: libvirt calls with the arguments that `note` demands.
    unsafe { note(domain, opaque) };
}

unsafe extern "C" fn release(opaque: *mut c_void) {
    // SAFETY: `opaque` came from Arc::into_raw at registration, each time with a reference of its own, which only libvirt
    // releases, and once.
    drop(unsafe { Arc::from_raw(opaque.cast::<Changes>()) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_written_as_libvirt_writes_it() {
        let mut uuid = Uuid::default();
        for (byte, value) in uuid.iter_mut().zip(0xa0..) {
            *byte = value;
        }
        assert_eq!(uuid_text(&uuid), "a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf");
    }

    #[test]
    fn too_many_changes_become_one_change_of_all() {
        let changes = Changes::default();
        for number in 0..=u32::try_from(MAXIMUM_CHANGES).unwrap() {
            let mut uuid = Uuid::default();
            uuid[..4].copy_from_slice(&number.to_be_bytes());
            changes.note(uuid);
        }
        let noted = changes.take();
        assert!(noted.all && noted.domains.len() <= 1);
        assert!(!changes.take().all);
    }

    #[test]
    fn a_uri_with_a_nul_byte_is_refused() {
        assert!(c_uri("qemu:///system\0").is_err());
    }
}
