//! Keeps one connection open: opens it when it is needed, replaces it when it went bad.
//!
//! Opening can hang (a stopped daemon accepts connections and says nothing), so it happens on a thread of its
//! own, and whoever needs the connection waits for it only until a deadline. Attempts start at most once a
//! second, and one that hangs is left alone: it completes by itself when the daemon is back. It never does when a host
//! at the other end of a network has gone without a word, so others are made beside it, ever more rarely.

use std::ffi::CString;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::connection::{Changes, Connection};
use crate::error::LibvirtError;
use crate::library::Library;

const CALL: &str = "virConnectOpenReadOnly";

/// The least time between the starts of two attempts.
const ATTEMPT_INTERVAL: Duration = Duration::from_secs(1);

/// After this long another attempt is made beside one that hangs: a network peer may have gone for good. With each
/// further one that hangs, that doubles.
const HUNG_ATTEMPT_AGE: Duration = Duration::from_secs(60);

/// From how many attempts on that hang at the same time the age doubles no more: the next one is 22 days away.
const MAXIMUM_DOUBLINGS: u32 = 15;

/// Counts since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Attempts to open a connection.
    pub attempts: u64,
    /// Attempts that succeeded.
    pub opened: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Connections that were lost or given up.
    pub lost: u64,
}

/// See the module.
pub struct Connector {
    library: &'static Library,
    uri: CString,
    state: Mutex<State>,
    changed: Condvar,
    changes: Arc<Changes>,
    undertaker: Undertaker,
}

#[derive(Default)]
struct State {
    connection: Option<Arc<Connection>>,
    opening: usize,
    last_attempt: Option<Instant>,
    failure: Option<LibvirtError>,
    counts: ConnectionCounts,
}

/// Drops things on a thread of its own, because closing a connection may block.
#[derive(Clone)]
pub struct Undertaker {
    sender: Sender<Box<dyn Send>>,
}

impl Undertaker {
    /// Starts the thread; it ends when the last clone is gone.
    ///
    /// # Errors
    /// The system's reason when no thread can be started.
    pub fn start() -> std::io::Result<Self> {
        let (sender, receiver) = channel::<Box<dyn Send>>();
        thread::Builder::new().name(String::from("libvirt-close")).spawn(move || {
            for thing in receiver {
                drop(thing);
            }
        })?;
        Ok(Self { sender })
    }

    /// Drops `thing` soon, without blocking the caller.
    pub fn bury(&self, thing: impl Send + 'static) {
        // The thread lives as long as a sender does, so this cannot fail; if it did, the value would be
        // dropped here.
        let _ = self.sender.send(Box::new(thing));
    }
}

impl Connector {
    /// A connector for `uri`; it does not open anything yet.
    pub fn new(library: &'static Library, uri: CString, undertaker: Undertaker) -> Self {
        Self {
            library,
            uri,
            state: Mutex::default(),
            changed: Condvar::new(),
            changes: Arc::default(),
            undertaker,
        }
    }

    /// What events told about changed domains.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Counts since the start, and whether a connection is open now.
    pub fn counts(&self) -> (ConnectionCounts, bool) {
        let state = self.lock();
        (state.counts, state.connection.is_some())
    }

    /// The open connection, or a new one, waiting for it until `deadline` at most.
    ///
    /// # Errors
    /// What libvirt said when it refused, or that it did not answer in time.
    pub fn acquire(self: &Arc<Self>, deadline: Instant) -> Result<Arc<Connection>, LibvirtError> {
        let mut state = self.lock();
        let attempts_before = state.counts.failed;
        loop {
            if let Some(connection) = &state.connection {
                if connection.is_alive() {
                    return Ok(Arc::clone(connection));
                }
                self.give_up(&mut state);
            }
            if state.counts.failed > attempts_before
                && let Some(failure) = &state.failure
            {
                return Err(failure.clone());
            }
            let now = Instant::now();
            if now >= deadline {
                return Err(state.failure.clone().filter(|_| state.opening == 0).unwrap_or_else(
                    || LibvirtError::own(CALL, "libvirt did not answer before the deadline"),
                ));
            }
            let next = state.next_attempt(now);
            if next <= now {
                self.attempt(&mut state);
                continue;
            }
            let pause = next.min(deadline).saturating_duration_since(now);
            state =
                self.changed.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Stops using the connection with this serial number.
    pub fn discard(&self, serial: u64) {
        let mut state = self.lock();
        if state.connection.as_ref().is_some_and(|connection| connection.serial() == serial) {
            self.give_up(&mut state);
        }
    }

    /// Opens another connection in the background and uses it instead of the one with this serial number
    /// once it is there. The present one stays in use until then.
    pub fn replace(self: &Arc<Self>, serial: u64) {
        let mut state = self.lock();
        let is_current =
            state.connection.as_ref().is_some_and(|connection| connection.serial() == serial);
        let now = Instant::now();
        if is_current && state.next_attempt(now) <= now {
            self.attempt(&mut state);
        }
    }

    /// Closes the connection in the background.
    pub fn close(&self) {
        let connection = self.lock().connection.take();
        self.undertaker.bury(connection);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_up(&self, state: &mut State) {
        self.undertaker.bury(state.connection.take());
        state.counts.lost += 1;
        self.changes.note_all();
    }

    fn attempt(self: &Arc<Self>, state: &mut State) {
        state.last_attempt = Some(Instant::now());
        state.counts.attempts += 1;
        state.opening += 1;
        let serial = state.counts.attempts;
        let connector = Arc::clone(self);
        let started = thread::Builder::new().name(String::from("libvirt-open")).spawn(move || {
            let result =
                Connection::open(connector.library, &connector.uri, serial, &connector.changes);
            connector.finish(result);
        });
        if let Err(error) = started {
            state.fail(LibvirtError::own(CALL, format!("no thread could be started: {error}")));
        }
    }

    fn finish(&self, result: Result<Connection, LibvirtError>) {
        let mut state = self.lock();
        match result {
            Ok(connection) => {
                state.opening -= 1;
                state.counts.opened += 1;
                state.failure = None;
                let before = state.connection.replace(Arc::new(connection));
                self.undertaker.bury(before);
            }
            Err(error) => state.fail(error),
        }
        drop(state);
        self.changed.notify_all();
    }
}

impl State {
    fn fail(&mut self, error: LibvirtError) {
        self.opening -= 1;
        self.counts.failed += 1;
        self.failure = Some(error);
    }

    /// When the next attempt may start.
    fn next_attempt(&self, now: Instant) -> Instant {
        let Some(last) = self.last_attempt else { return now };
        last + match self.opening {
            0 => ATTEMPT_INTERVAL,
            hung => HUNG_ATTEMPT_AGE * 2_u32.pow(doublings(hung)),
        }
    }
}

/// How many times the age has doubled with so many attempts that hang.
fn doublings(hung: usize) -> u32 {
    u32::try_from(hung - 1).unwrap_or(u32::MAX).min(MAXIMUM_DOUBLINGS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_start_at_most_once_a_second() {
        let now = Instant::now();
        let mut state = State::default();
        assert_eq!(state.next_attempt(now), now);
        state.last_attempt = Some(now);
        assert_eq!(state.next_attempt(now), now + ATTEMPT_INTERVAL);
    }

    #[test]
    fn beside_attempts_that_hang_others_are_made_ever_more_rarely_and_never_none() {
        let now = Instant::now();
        let minutes = |opening| {
            let state = State { last_attempt: Some(now), opening, ..State::default() };
            state.next_attempt(now).duration_since(now).as_secs() / 60
        };
        assert_eq!([1, 2, 3, 4, 5].map(minutes), [1, 2, 4, 8, 16]);
        assert_eq!(minutes(16), minutes(1_000_000));
    }
}
