//! What libvirt's events tell: definitions that changed, and domains that started and ended.

use std::collections::HashSet;
use std::ffi::{c_char, c_int, c_void};
use std::sync::{Arc, Mutex, Weak};

use crate::bindings;
use crate::connection::{Connection, Domain, EVENTS, Run, Subscriptions, Uuid};
use crate::error::LibvirtError;
use crate::threads::lock;

/// Beyond this many changed domains, or starts and ends, it is cheaper to look at all of them again.
const MAXIMUM_NOTED: usize = 10_000;

const REGISTER: &str = "virConnectDomainEventRegisterAny";

/// The kinds of lifecycle events that matter here. Source: `virDomainEventType` in libvirt-domain.h.
const STARTED: c_int = 2;
const STOPPED: c_int = 5;

/// What has become of a domain.
pub enum Lifecycle {
    /// A run of it has begun.
    Started(Arc<Domain>),
    /// A run of it has ended, for a reason of `virDomainEventStoppedDetailType`, as the connection with this serial number
    /// was told.
    Stopped(Uuid, c_int, u64),
}

/// What events have told since it was last taken.
#[derive(Default)]
pub struct Noted {
    /// Domains whose definition may have changed.
    pub changed: HashSet<Uuid>,
    /// More changed than were noted, or changes went unnoticed while there was no connection.
    pub all_changed: bool,
    /// Starts and ends, in their order.
    pub lifecycle: Vec<Lifecycle>,
}

/// Collects what the events of all connections tell.
#[derive(Default)]
pub struct Events(Mutex<Noted>);

impl Events {
    /// Takes what was noted.
    pub fn take(&self) -> Noted {
        std::mem::take(&mut *lock(&self.0))
    }

    /// Says that events may have gone unnoticed. What they told before is of no use any more.
    pub fn note_gap(&self) {
        *lock(&self.0) = Noted { all_changed: true, ..Noted::default() };
    }

    /// Says that definitions may have changed without an event.
    pub fn note_all_changed(&self) {
        lock(&self.0).all_changed = true;
    }

    fn note(&self, domain: Uuid, lifecycle: Option<Lifecycle>) {
        let mut noted = lock(&self.0);
        if noted.changed.len().max(noted.lifecycle.len()) >= MAXIMUM_NOTED {
            *noted = Noted { all_changed: true, ..Noted::default() };
        }
        noted.lifecycle.extend(lifecycle);
        if !noted.all_changed {
            noted.changed.insert(domain);
        }
    }
}

/// What each callback is registered with.
struct Subscriber {
    events: Arc<Events>,
    connection: Weak<Connection>,
    serial: u64,
}

/// A kind of events that tell of a changed definition, with a callback for it; the arguments between domain and opaque
/// pointer tell nothing that is wanted.
macro_rules! change {
    ($event:ident($($ignored:ty),*)) => {{
        unsafe extern "C" fn callback(
            _connection: *mut bindings::virConnect,
            domain: *mut bindings::virDomain,
            $(_: $ignored,)*
            opaque: *mut c_void,
        ) {
            // SAFETY: libvirt calls with the arguments that `note` demands.
            unsafe { note(domain, None, opaque) };
        }
        (bindings::$event, generic(callback as *const c_void))
    }};
}

/// Subscribes to the events that matter, but for those that there are subscriptions to. One that libvirt failed to subscribe to
/// is not among them, as it may not fail the next time.
pub fn subscribe(
    connection: &Arc<Connection>,
    events: &Arc<Events>,
    subscriptions: &mut Subscriptions,
) {
    let library = connection.library;
    let wanted: [_; EVENTS] = [
        (bindings::VIR_DOMAIN_EVENT_ID_LIFECYCLE, generic(on_lifecycle as *const c_void)),
        change!(VIR_DOMAIN_EVENT_ID_REBOOT()),
        change!(VIR_DOMAIN_EVENT_ID_METADATA_CHANGE(c_int, *const c_char)),
        change!(VIR_DOMAIN_EVENT_ID_DEVICE_ADDED(*const c_char)),
        change!(VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED(*const c_char)),
        // The end of a copy may have put another kind of storage behind a disk.
        change!(VIR_DOMAIN_EVENT_ID_BLOCK_JOB(*const c_char, c_int, c_int)),
        // Limits of disks and CPUs, which the definition has too, changed.
        change!(VIR_DOMAIN_EVENT_ID_TUNABLE(bindings::virTypedParameterPtr, c_int)),
    ];
    for (event, callback) in wanted {
        if subscriptions.contains_key(&event) {
            continue;
        }
        let subscriber = Arc::new(Subscriber {
            events: Arc::clone(events),
            connection: Arc::downgrade(connection),
            serial: connection.serial,
        });
        // SAFETY: the connection is open; a null domain means all of them; the last argument but one is a counted
        // reference that libvirt gives back to `release` when the callback is removed.
        let number = unsafe {
            (library.api.virConnectDomainEventRegisterAny)(
                connection.pointer(),
                std::ptr::null_mut(),
                event.cast_signed(),
                callback,
                Arc::into_raw(subscriber).cast_mut().cast::<c_void>(),
                Some(release),
            )
        };
        // A reference that libvirt refused is not taken back: when it was the daemon that refused, libvirt's client may
        // have released it already (old ones do, newer ones while an event is being delivered).
        let error = (number < 0).then(|| LibvirtError::last(library, REGISTER));
        if error.as_ref().is_none_or(is_unknown) {
            subscriptions.insert(event, (number >= 0).then_some(number));
        }
    }
}

/// Whether an event is none that the driver offers, or that libvirt's client or its daemon knows, both of which may be old.
/// Source: `virConnectDomainEventRegisterAny`, and `remoteDispatchConnectDomainEventCallbackRegisterAny` in libvirt's
/// `src/remote/remote_daemon_dispatch.c`.
fn is_unknown(error: &LibvirtError) -> bool {
    error.is_unsupported()
        || error.is(bindings::VIR_ERR_INVALID_ARG)
        || error.message.contains("unsupported event ID")
}

type Generic = bindings::virConnectDomainEventGenericCallback;

/// A callback as libvirt takes every kind of them (its documentation asks for this cast, `VIR_DOMAIN_EVENT_CALLBACK`).
fn generic(callback: *const c_void) -> Generic {
    // SAFETY: only the callbacks of this module come here; libvirt calls each with the arguments of the event that it was
    // registered for, which are those that it has.
    unsafe { std::mem::transmute::<*const c_void, Generic>(callback) }
}

/// Notes an event about a domain.
///
/// # Safety
/// Called by libvirt with a domain that is valid during the call, or null, and what was given at registration.
unsafe fn note(
    domain: *mut bindings::virDomain,
    lifecycle: Option<(c_int, c_int)>,
    opaque: *mut c_void,
) {
    let Ok(library) = crate::library::library() else { return };
    // SAFETY: it is a `Subscriber` that lives until `release`.
    let subscriber = unsafe { &*opaque.cast::<Subscriber>() };
    if domain.is_null() {
        return;
    }
    // SAFETY: libvirt passes a valid domain.
    let uuid = unsafe { Run::of(library, domain) }.uuid;
    let lifecycle = match lifecycle {
        // Of a connection that is being closed nothing is wanted.
        Some((STARTED, _)) => subscriber.connection.upgrade().and_then(|connection| {
            // SAFETY: as above; the domain is of this connection.
            let domain = unsafe { Domain::of(&connection, domain) };
            domain.map(|domain| Lifecycle::Started(Arc::new(domain)))
        }),
        Some((STOPPED, detail)) => Some(Lifecycle::Stopped(uuid, detail, subscriber.serial)),
        _ => None,
    };
    subscriber.events.note(uuid, lifecycle);
}

unsafe extern "C" fn on_lifecycle(
    _connection: *mut bindings::virConnect,
    domain: *mut bindings::virDomain,
    kind: c_int,
    detail: c_int,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: libvirt calls with the arguments that `note` demands.
    unsafe { note(domain, Some((kind, detail)), opaque) };
    0
}

unsafe extern "C" fn release(opaque: *mut c_void) {
    // SAFETY: it came from Arc::into_raw at registration, each time with a reference of its own, which only libvirt
    // releases, and once.
    drop(unsafe { Arc::from_raw(opaque.cast::<Subscriber>()) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_changes_become_one_change_of_all() {
        let events = Events::default();
        for number in 0..=u32::try_from(MAXIMUM_NOTED).unwrap() {
            let mut uuid = Uuid::default();
            uuid[..4].copy_from_slice(&number.to_be_bytes());
            events.note(uuid, Some(Lifecycle::Stopped(uuid, 0, 1)));
        }
        let noted = events.take();
        assert!(noted.all_changed && noted.changed.is_empty() && noted.lifecycle.len() == 1);
        assert!(!events.take().all_changed);
    }

    #[test]
    fn a_gap_says_that_all_may_have_changed_and_forgets_starts_and_ends() {
        let events = Events::default();
        events.note(Uuid::default(), Some(Lifecycle::Stopped(Uuid::default(), 0, 1)));
        events.note_gap();
        let noted = events.take();
        assert!(noted.all_changed && noted.lifecycle.is_empty());
    }
}
