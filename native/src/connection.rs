//! One open connection and the domains it hands out.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_int, c_uint, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use crate::allocated::copy_text;
use crate::bindings;
use crate::error::{LibvirtError, Result};
use crate::library::Library;
use crate::test_driver::unreadable_file;
use crate::threads::{self, lock};

/// The function that opens a connection.
pub const OPEN: &str = "virConnectOpenAuth";

/// What a daemon that asks for a login is given, if libvirt finds it in its file `auth.conf`. libvirt looks there for
/// what its caller says that it can give, before it asks the caller, and not at all for a caller who can give nothing.
const CREDENTIALS: [c_uint; 3] =
    [bindings::VIR_CRED_AUTHNAME, bindings::VIR_CRED_PASSPHRASE, bindings::VIR_CRED_REALM];

/// Seconds between keepalive messages.
const KEEPALIVE_INTERVAL_SECONDS: c_int = 5;

/// How many messages may stay unanswered when the other side is another host: a network that broke is noticed after about
/// `interval * (count + 1)` seconds; calls on it fail then.
const KEEPALIVE_COUNT_REMOTE: u32 = 3;

/// The same for a daemon of this host, whose end closes the socket. It may be stopped for long and go on. libvirt's client
/// 9.0 must not give a connection up on which two calls or more wait: `virNetClientIOEventLoop` leaves a source in its main
/// context whose data were on the stack of the first, and the next event on the socket writes there (seen with a C program).
const KEEPALIVE_COUNT_LOCAL: u32 = u32::MAX;

/// From this release of the daemon on, bulk calls have the flag NOWAIT.
const NOWAIT_SINCE: u64 = 4_005_000;

/// From this release of the daemon on, reading a domain's definition waits for the domain's job.
const DEFINITION_NEEDS_JOB_SINCE: u64 = 11_000_000;

/// A UUID as libvirt's binary form.
pub type Uuid = [u8; bindings::VIR_UUID_BUFLEN as usize];

/// One run of one domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// The domain's UUID.
    pub uuid: Uuid,
    /// Its id on this host; -1 when it does not run.
    pub id: i32,
}

impl Run {
    /// The run that a handle of libvirt's stands for. Makes no call to the daemon.
    ///
    /// # Safety
    /// `domain` is valid.
    pub unsafe fn of(library: &Library, domain: *mut bindings::virDomain) -> Self {
        let mut uuid = Uuid::default();
        // SAFETY: the domain is valid and the buffer has the size that libvirt writes.
        unsafe { (library.api.virDomainGetUUID)(domain, uuid.as_mut_ptr()) };
        // SAFETY: the domain is valid.
        let id = unsafe { (library.api.virDomainGetID)(domain) };
        Self { uuid, id: id.cast_signed() }
    }
}

/// How many kinds of events matter.
pub const EVENTS: usize = 7;

/// The number of a callback by event; none when the driver does not offer that event.
pub type Subscriptions = HashMap<u32, Option<c_int>>;

/// What is done when a connection has been closed.
type Afterwards = Box<dyn FnOnce() + Send>;

/// A read-only connection. Threads may share it. Whoever lets go of it last has it closed on a thread of its own, for that may
/// block.
pub struct Connection {
    /// The library it was opened with.
    pub library: &'static Library,
    pointer: NonNull<bindings::virConnect>,
    /// Its number among the connections that this process opened.
    pub serial: u64,
    is_test_driver: bool,
    /// Whether the driver has refused `virDomainBlockStatsFlags`.
    pub lacks_block_parameters: AtomicBool,
    /// What was found out after opening; nothing for as long as libvirt does not say.
    daemon_version: OnceLock<u64>,
    driver: OnceLock<Option<String>>,
    /// Held by whoever is finding out and subscribing.
    subscriptions: Mutex<Subscriptions>,
    afterwards: Mutex<Option<Afterwards>>,
    /// Counted by those who wake its calls up.
    pub nudges: Arc<()>,
}

// SAFETY: libvirt's connections are reference-counted objects with locks of their own; its documentation
// allows any thread to use one ("the API is thread-safe", https://libvirt.org/api.html).
unsafe impl Send for Connection {}
// SAFETY: as above.
unsafe impl Sync for Connection {}

/// A domain of a connection: one run of it. It holds libvirt's handle, which is only an identity, without any state.
pub struct Domain {
    pointer: NonNull<bindings::virDomain>,
    /// Which run. libvirt writes the UUID as text, for its own log, whenever it is asked about a handle: once is enough.
    pub run: Run,
    /// The connection it belongs to.
    pub connection: Arc<Connection>,
}

// SAFETY: as for Connection: a virDomain is an immutable, reference-counted handle.
unsafe impl Send for Domain {}
// SAFETY: as above.
unsafe impl Sync for Domain {}

impl Connection {
    /// Opens `uri` read-only and asks for keepalive. Blocks for as long as libvirt does.
    ///
    /// # Errors
    /// What libvirt said when it did not open.
    pub fn open(library: &'static Library, uri: &CStr, serial: u64) -> Result<Self> {
        if let Some(reason) = unreadable_file(uri) {
            return Err(LibvirtError::own(OPEN, reason));
        }
        let mut kinds = CREDENTIALS.map(c_uint::cast_signed);
        let mut login = bindings::virConnectAuth {
            credtype: kinds.as_mut_ptr(),
            ncredtype: c_uint::try_from(kinds.len()).unwrap_or_default(),
            cb: Some(give_nothing),
            cbdata: ptr::null_mut(),
        };
        // SAFETY: `uri` is NUL-terminated; it and what the login points to outlive the call, after which libvirt asks for
        // no credentials any more.
        let pointer = unsafe {
            (library.api.virConnectOpenAuth)(uri.as_ptr(), &raw mut login, bindings::VIR_CONNECT_RO)
        };
        let pointer = NonNull::new(pointer).ok_or_else(|| LibvirtError::last(library, OPEN))?;
        // First of all, lest a further call wait forever for a host that has just gone.
        // SAFETY: the connection is open; an event loop runs, as this call demands.
        unsafe {
            (library.api.virConnectSetKeepAlive)(
                pointer.as_ptr(),
                KEEPALIVE_INTERVAL_SECONDS,
                if names_host(uri) { KEEPALIVE_COUNT_REMOTE } else { KEEPALIVE_COUNT_LOCAL },
            )
        };
        Ok(Self {
            library,
            pointer,
            serial,
            is_test_driver: uri.to_bytes().starts_with(b"test"),
            lacks_block_parameters: AtomicBool::default(),
            daemon_version: OnceLock::new(),
            driver: OnceLock::new(),
            subscriptions: Mutex::default(),
            afterwards: Mutex::default(),
            nudges: Arc::default(),
        })
    }

    /// Finds out about the other side and subscribes to its events. The connection can be used meanwhile: what is not known
    /// is taken for granted. Blocks for as long as libvirt does, unless somebody is at it already.
    pub fn prepare(self: &Arc<Self>, subscribe: impl FnOnce(&Arc<Self>, &mut Subscriptions)) {
        let Ok(mut subscriptions) = self.subscriptions.try_lock() else { return };
        subscribe(self, &mut subscriptions);
        let version = self.ask_daemon_version();
        if version > 0 {
            self.daemon_version.get_or_init(|| version);
        }
        // SAFETY: the connection is open; the text belongs to it and is copied.
        let driver = || unsafe { copy_text((self.library.api.virConnectGetType)(self.pointer())) };
        self.driver.get_or_init(driver);
    }

    /// Whether `prepare` has to be called once more.
    pub fn wants_preparation(&self) -> bool {
        self.subscriptions.try_lock().is_ok_and(|held| held.len() < EVENTS)
    }

    /// Has this done when the connection has been closed.
    pub fn when_closed(&self, afterwards: impl FnOnce() + Send + 'static) {
        *lock(&self.afterwards) = Some(Box::new(afterwards));
    }

    /// The raw pointer, valid as long as the connection.
    pub fn pointer(&self) -> *mut bindings::virConnect {
        self.pointer.as_ptr()
    }

    /// False once the other side has gone. Makes no call to the daemon.
    pub fn is_alive(&self) -> bool {
        // SAFETY: the connection is open.
        unsafe { (self.library.api.virConnectIsAlive)(self.pointer()) == 1 }
    }

    /// Asks for something that the daemon answers at once; false when it does not.
    pub fn ping(&self) -> bool {
        self.ask_daemon_version() > 0
    }

    /// The release of the daemon, such as 9,000,000; 0, "old", where it does not say.
    fn ask_daemon_version(&self) -> u64 {
        let mut version = 0;
        // SAFETY: the connection is open and the number may be written to.
        unsafe { (self.library.api.virConnectGetLibVersion)(self.pointer(), &raw mut version) };
        version
    }

    /// Whether the driver's bulk statistics go beyond the state: QEMU's do. Others are asked call by call.
    pub fn has_bulk(&self) -> bool {
        match self.driver.get() {
            Some(Some(driver)) => driver == "QEMU",
            _ => !self.is_test_driver,
        }
    }

    /// Whether reading a definition waits for whatever else is being done to the domain.
    pub fn definition_needs_job(&self) -> bool {
        self.is_since(DEFINITION_NEEDS_JOB_SINCE)
    }

    /// Whether bulk calls can leave out what somebody else is asking for.
    pub fn knows_nowait(&self) -> bool {
        self.has_bulk() && self.is_since(NOWAIT_SINCE)
    }

    /// Whether the daemon is of this release or a later one, as one is taken to be that has not said it yet.
    fn is_since(&self, release: u64) -> bool {
        self.daemon_version.get().is_none_or(|&version| version >= release)
    }
}

/// Refuses the credentials that `auth.conf` does not have, for nobody is there to be asked.
unsafe extern "C" fn give_nothing(
    _credentials: bindings::virConnectCredentialPtr,
    missing: c_uint,
    _data: *mut c_void,
) -> c_int {
    if missing == 0 { 0 } else { -1 }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let ending = Ending {
            library: self.library,
            pointer: self.pointer,
            subscriptions: std::mem::take(&mut lock(&self.subscriptions)),
            afterwards: lock(&self.afterwards).take(),
        };
        // Where no thread can be started, it is closed here.
        let _ = threads::start("libvirt-close", move || drop(ending));
    }
}

/// A connection that nobody uses any more. Dropping it closes it.
struct Ending {
    library: &'static Library,
    pointer: NonNull<bindings::virConnect>,
    subscriptions: Subscriptions,
    afterwards: Option<Afterwards>,
}

// SAFETY: as for Connection.
unsafe impl Send for Ending {}

impl Drop for Ending {
    fn drop(&mut self) {
        let (api, connection) = (&self.library.api, self.pointer.as_ptr());
        for number in self.subscriptions.values().copied().flatten() {
            // SAFETY: the number came from registering on this connection, which is still open. A
            // callback holds a reference to its connection: without this it would never close.
            unsafe { (api.virConnectDomainEventDeregisterAny)(connection, number) };
        }
        // SAFETY: this drops the one reference that `open` made; nothing uses the pointer afterwards.
        unsafe { (api.virConnectClose)(connection) };
        if let Some(afterwards) = self.afterwards.take() {
            afterwards();
        }
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        // SAFETY: gives back the one reference that it stands for.
        unsafe { (self.connection.library.api.virDomainFree)(self.pointer()) };
    }
}

impl Domain {
    /// A domain of `connection`, with a reference of its own to a handle that is libvirt's, or somebody else's.
    ///
    /// # Safety
    /// `pointer` is a valid domain of the connection, or null: then there is none.
    pub unsafe fn of(
        connection: &Arc<Connection>,
        pointer: *mut bindings::virDomain,
    ) -> Option<Self> {
        let (pointer, library) = (NonNull::new(pointer)?, connection.library);
        // SAFETY: the caller vouches for the domain.
        let result = unsafe { (library.api.virDomainRef)(pointer.as_ptr()) };
        // SAFETY: likewise.
        let run = unsafe { Run::of(library, pointer.as_ptr()) };
        (result >= 0).then(|| Self { pointer, run, connection: Arc::clone(connection) })
    }

    /// The raw pointer, valid as long as the domain.
    pub fn pointer(&self) -> *mut bindings::virDomain {
        self.pointer.as_ptr()
    }

    /// Its name. Makes no call to the daemon.
    pub fn name(&self) -> String {
        // SAFETY: the pointer is valid; the string belongs to the handle and is copied.
        unsafe { copy_text((self.connection.library.api.virDomainGetName)(self.pointer())) }
            .unwrap_or_default()
    }
}

/// Whether a URI names a host, as in `qemu+tls://host/system`.
fn names_host(uri: &CStr) -> bool {
    let uri = uri.to_bytes();
    let after = uri.windows(3).position(|part| part == b"://").map(|at| &uri[at + 3..]);
    after.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(b"/"))
}

/// The text of a UUID: 8-4-4-4-12 lower-case hexadecimal digits.
pub fn uuid_text(uuid: &Uuid) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(*uuid));
    let (first, rest) = digits.split_at(8);
    format!("{first}-{}-{}-{}-{}", &rest[..4], &rest[4..8], &rest[8..12], &rest[12..])
}

/// A connection URI as C text.
///
/// # Errors
/// When it holds a NUL byte.
pub fn c_uri(uri: &str) -> Result<CString> {
    CString::new(uri).map_err(|_| LibvirtError::own(OPEN, "the URI holds a NUL byte"))
}

/// A connection to the hypervisor that libvirt's test driver makes up.
#[cfg(test)]
pub fn test_connection() -> Arc<Connection> {
    let library = crate::library::library().expect("libvirt's client library is installed");
    let connection = Connection::open(library, c"test:///default", 1);
    Arc::new(connection.expect("the test driver opens"))
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
    fn a_uri_names_a_host_or_none() {
        for uri in [c"qemu:///system", c"qemu+unix:///system?socket=/a://b", c"", c"test:///a.xml"]
        {
            assert!(!names_host(uri), "{uri:?}");
        }
        for uri in
            [c"qemu+tls://host/system", c"qemu+tcp://127.0.0.1:16509/system", c"qemu+ssh://a@b/"]
        {
            assert!(names_host(uri), "{uri:?}");
        }
    }

    #[test]
    fn a_uri_with_a_nul_byte_is_refused() {
        assert!(c_uri("qemu:///system\0").is_err());
    }
}
