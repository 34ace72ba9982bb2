//! libvirt's client library, opened at run time, and its event loop.

use std::error::Error;
use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void};
use std::ptr;
use std::sync::{Condvar, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use crate::bindings;
use crate::threads::{self, lock};

const FILE_NAME: &str = "libvirt.so.0";

/// The first release with bulk statistics, as libvirt writes a version: 1.2.8.
const OLDEST_VERSION: c_ulong = 1_002_008;

/// How long the event loop pauses at most. libvirt's keepalive messages are seconds apart.
const MAXIMUM_PAUSE: Duration = Duration::from_secs(1);

/// The loaded library. There is one in a process, because libvirt's own state is per process.
pub struct Library {
    /// The functions, by their C names.
    pub api: bindings::Libvirt,
    /// `virDomainListAllCheckpoints`, which is there since libvirt 5.6.0.
    pub list_checkpoints: Option<ListCheckpoints>,
}

/// Source: libvirt-domain-checkpoint.h.
type ListCheckpoints = unsafe extern "C" fn(
    domain: bindings::virDomainPtr,
    checkpoints: *mut *mut bindings::virDomainCheckpointPtr,
    flags: c_uint,
) -> c_int;

/// Source: libvirt-host.h.
type GetVersion = unsafe extern "C" fn(
    version: *mut c_ulong,
    kind: *const c_char,
    version_of_kind: *mut c_ulong,
) -> c_int;

static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();

/// How many want the event loop to pause, and a signal when it is one less.
static PAUSES: Mutex<usize> = Mutex::new(0);
static PAUSE_ENDED: Condvar = Condvar::new();

/// The event loop pauses while this lives.
pub struct EventLoopPause(());

/// Lets the event loop pause while calls are made. A call takes its connection's socket from the loop and gives it
/// back, which wakes the loop up both times and costs more than the call itself. Calls read what else comes on
/// the socket; events wait for the loop.
pub fn pause_event_loop() -> EventLoopPause {
    *lock(&PAUSES) += 1;
    EventLoopPause(())
}

impl Drop for EventLoopPause {
    fn drop(&mut self) {
        *lock(&PAUSES) -= 1;
        PAUSE_ENDED.notify_all();
    }
}

fn pause_while_wanted() {
    let pauses = lock(&PAUSES);
    drop(PAUSE_ENDED.wait_timeout_while(pauses, MAXIMUM_PAUSE, |pauses| *pauses > 0));
}

/// Opens `libvirt.so.0` once for the process, silences its output and starts its event loop.
///
/// # Errors
/// The loader's or libvirt's own reason, when the library is missing, too old (before 1.2.8, the first
/// release with bulk statistics) or does not initialise. The answer stays the same for the process.
pub fn library() -> Result<&'static Library, &'static str> {
    LIBRARY.get_or_init(open).as_ref().map_err(String::as_str)
}

fn open() -> Result<Library, String> {
    silence_log();
    share_heap();
    // SAFETY: loading runs the library's constructors; libvirt's only set up its own data. The
    // declarations were generated from libvirt's headers, whose ABI has been stable since 0.x.
    let library =
        unsafe { libloading::Library::new(FILE_NAME) }.map_err(|error| reason_of(&error))?;
    refuse_older(&library)?;
    // SAFETY: the type is the one of the header. It stays valid, for `api` keeps the library.
    let list_checkpoints = unsafe { library.get(c"virDomainListAllCheckpoints") };
    let list_checkpoints = list_checkpoints.ok().map(|symbol| *symbol);
    // SAFETY: as above.
    let api =
        unsafe { bindings::Libvirt::from_library(library) }.map_err(|error| reason_of(&error))?;
    // SAFETY: virInitialize may be called at any time, any number of times.
    if unsafe { (api.virInitialize)() } < 0 {
        return Err(String::from("virInitialize failed"));
    }
    // SAFETY: the handler is a function without captured state that lives as long as the process.
    unsafe { (api.virSetErrorFunc)(ptr::null_mut(), Some(ignore_error)) };
    // SAFETY: called once, before any connection is opened, as its documentation demands.
    if unsafe { (api.virEventRegisterDefaultImpl)() } < 0 {
        return Err(String::from("virEventRegisterDefaultImpl failed"));
    }
    let run = api.virEventRunDefaultImpl;
    let serve = move || {
        loop {
            pause_while_wanted();
            // SAFETY: the default implementation was registered above and only this thread runs it. It blocks until there
            // is something to do.
            if unsafe { run() } < 0 {
                // Without this sleep a loop that cannot poll would burn a core.
                thread::sleep(Duration::from_secs(1));
            }
        }
    };
    threads::start("libvirt-events", serve)
        .map_err(|error| format!("the event thread did not start: {error}"))?;
    Ok(Library { api, list_checkpoints })
}

/// Says what the system has and what is needed, where it would else be the first function that an old library lacks.
fn refuse_older(library: &libloading::Library) -> Result<(), String> {
    // SAFETY: the type is the one of the header, and the library stays loaded meanwhile.
    let get_version = unsafe { library.get::<GetVersion>(c"virGetVersion") }
        .map_err(|error| reason_of(&error))?;
    let mut version = 0;
    // SAFETY: the first argument is a place for the version; without the others it is asked for nothing else.
    if unsafe { get_version(&raw mut version, ptr::null(), ptr::null_mut()) } < 0 {
        return Err(String::from("virGetVersion failed"));
    }
    if version >= OLDEST_VERSION {
        return Ok(());
    }
    let spoken = |version| {
        let (major, minor, patch) = (version / 1_000_000, version / 1_000 % 1_000, version % 1_000);
        format!("{major}.{minor}.{patch}")
    };
    let (present, needed) = (spoken(version), spoken(OLDEST_VERSION));
    Err(format!("this system has libvirt {present}, and {needed} or later is needed"))
}

/// What the system's loader said: the error itself only says which of its functions failed.
fn reason_of(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// Lets all threads allocate from one heap. By default glibc gives each thread its own, and replies that one thread
/// allocates and another frees leave holes in all of them.
#[cfg(target_env = "gnu")]
fn share_heap() {
    /// Source: malloc.h of glibc.
    const M_ARENA_MAX: c_int = -8;
    unsafe extern "C" {
        fn mallopt(parameter: c_int, value: c_int) -> c_int;
    }
    // SAFETY: mallopt may be called at any time; this parameter only limits what is made from now on.
    unsafe { mallopt(M_ARENA_MAX, 1) };
}

/// Other C libraries have one heap anyway.
#[cfg(not(target_env = "gnu"))]
fn share_heap() {}

/// Keeps libvirt's warnings off standard error, unless the operator configured its log.
fn silence_log() {
    const VARIABLE: &str = "LIBVIRT_LOG_OUTPUTS";
    if std::env::var_os(VARIABLE).is_none() {
        // SAFETY: the process is starting up: this runs on the JavaScript thread while the addon
        // is first used, before the shim has started a thread of its own.
        unsafe { std::env::set_var(VARIABLE, "4:file:/dev/null") };
    }
}

unsafe extern "C" fn ignore_error(_data: *mut c_void, _error: bindings::virErrorPtr) {}
