//! Keeps one connection open: opens it when it is needed, replaces it when it went bad.
//!
//! Opening can hang (a stopped daemon accepts connections and says nothing), so it happens on a thread of its
//! own, and whoever needs the connection waits for it only until a deadline. Attempts start at most once a
//! second, and one that hangs is left alone: it completes by itself when the daemon is back. It never does when a host
//! at the other end of a network has gone without a word, so others are made beside it, ever more rarely. After a login
//! that ssh refused they are rarer as well, for hosts lock out who tries it often.

use std::ffi::CString;
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::time::{Duration, Instant};

use crate::answers::Status;
use crate::connection::{Connection, OPEN};
use crate::error::{LibvirtError, Result};
use crate::events::{Events, subscribe};
use crate::library::Library;
use crate::threads::{self, lock};

/// The least time between the starts of two attempts.
const ATTEMPT_INTERVAL: Duration = Duration::from_secs(1);

/// After this long another attempt is made beside one that hangs: a network peer may have gone for good. With each
/// further one that hangs, that doubles.
const HUNG_ATTEMPT_AGE: Duration = Duration::from_secs(60);

/// From how many attempts on that hang at the same time the age doubles no more: the next one is 22 days away.
const MAXIMUM_DOUBLINGS: u32 = 15;

/// After a login that ssh refused the next attempt is made after this long; that doubles with each further one, up to the
/// longest. Hosts lock out who fails more often, commonly five times in ten minutes.
const REFUSED_INTERVAL: Duration = Duration::from_secs(60);
const MAXIMUM_REFUSED_INTERVAL: Duration = Duration::from_secs(600);

/// How long a new connection is waited for to be prepared. It can be used before that.
const PREPARATION: Duration = Duration::from_millis(200);

/// The one connection to a URI, and the attempts to open it.
pub struct Connector {
    library: &'static Library,
    uri: CString,
    state: Mutex<State>,
    changed: Condvar,
    events: Arc<Events>,
}

#[derive(Default)]
struct State {
    connection: Option<Arc<Connection>>,
    /// Until when the connection is waited for to be prepared; none when it is.
    unprepared: Option<Instant>,
    opening: usize,
    last_attempt: Option<Instant>,
    failure: Option<LibvirtError>,
    /// Logins that were refused since one was not.
    refusals: u32,
    /// The counts since the start of the process; the rest is not kept up here.
    status: Status,
    /// Connections that others have replaced; they are there for as long as calls are out on them. Of one that was given up,
    /// nothing is expected any more.
    retired: Vec<Weak<Connection>>,
}

impl Connector {
    /// A connector for `uri`; it does not open anything yet.
    pub fn new(library: &'static Library, uri: CString) -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Self { library, uri, state, changed, events: Arc::default() }
    }

    /// What events told.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// What is known of connections; nothing of calls.
    pub fn status(&self) -> Status {
        let state = lock(&self.state);
        Status { connected: state.connection.is_some(), ..state.status.clone() }
    }

    /// The open connection.
    pub fn current(&self) -> Option<Arc<Connection>> {
        lock(&self.state).connection.clone()
    }

    /// The open connection, or a new one, waiting for it until `deadline` at most.
    ///
    /// # Errors
    /// What libvirt said when it refused, or that it did not answer in time.
    pub fn acquire(self: &Arc<Self>, deadline: Instant) -> Result<Arc<Connection>> {
        let mut state = lock(&self.state);
        let attempts_before = state.status.connections_failed;
        loop {
            let now = Instant::now();
            let mut next = state.next_attempt(now);
            if let Some(connection) = &state.connection {
                if !connection.is_alive() {
                    self.give_up(&mut state);
                    continue;
                }
                match state.unprepared.filter(|&until| now < until.min(deadline)) {
                    None => {
                        self.prepare_again(connection);
                        return Ok(Arc::clone(connection));
                    }
                    Some(until) => next = until,
                }
            }
            if state.connection.is_none()
                && state.status.connections_failed > attempts_before
                && let Some(failure) = &state.failure
            {
                return Err(failure.clone());
            }
            // What was refused is not tried in this time: the failure stands.
            if now >= deadline || (state.must_rest() && next > deadline) {
                return Err(state.failure.clone().filter(|_| state.opening == 0).unwrap_or_else(
                    || LibvirtError::own(OPEN, "libvirt did not answer before the deadline"),
                ));
            }
            if next <= now {
                self.attempt(&mut state);
                continue;
            }
            state = threads::wait(&self.changed, state, next.min(deadline));
        }
    }

    /// Stops using the connection with this serial number.
    pub fn discard(&self, serial: u64) {
        let mut state = lock(&self.state);
        if state.uses(serial) {
            self.give_up(&mut state);
        }
    }

    /// Opens another connection in the background, and uses it instead of this one once it is there; until then this one stays
    /// in use. Gives the one in use when the attempt has ended, or at that time.
    pub fn replaced(
        self: &Arc<Self>,
        connection: Arc<Connection>,
        until: Instant,
    ) -> Arc<Connection> {
        let (mut state, now, serial) = (lock(&self.state), Instant::now(), connection.serial);
        if state.uses(serial) && state.next_attempt(now) <= now {
            self.attempt(&mut state);
        }
        while state.uses(serial) && state.opening > 0 && Instant::now() < until {
            state = threads::wait(&self.changed, state, until);
        }
        state.connection.clone().unwrap_or(connection)
    }

    /// The connections that others have replaced and on which calls are out.
    pub fn retired(&self) -> Vec<Arc<Connection>> {
        let mut state = lock(&self.state);
        state.retired.retain(|connection| connection.strong_count() > 0);
        state.retired.iter().filter_map(Weak::upgrade).collect()
    }

    /// Stops using the connection and hands it over, to be closed.
    pub fn close(&self) -> Option<Arc<Connection>> {
        let connection = lock(&self.state).connection.take();
        // A domain that has started holds its connection.
        self.events.note_gap();
        connection
    }

    fn give_up(&self, state: &mut State) {
        state.connection = None;
        state.status.connections_lost += 1;
        self.events.note_gap();
    }

    fn attempt(self: &Arc<Self>, state: &mut State) {
        state.last_attempt = Some(Instant::now());
        state.status.connection_attempts += 1;
        state.opening += 1;
        let serial = u64::from(state.status.connection_attempts);
        let connector = Arc::clone(self);
        if let Err(error) = threads::start("libvirt-open", move || connector.open(serial)) {
            state.fail(LibvirtError::own(OPEN, format!("no thread could be started: {error}")));
        }
    }

    fn prepare(&self, connection: &Arc<Connection>) {
        connection.prepare(|connection, held| subscribe(connection, &self.events, held));
    }

    /// Has a connection find out what it failed to find out before.
    fn prepare_again(self: &Arc<Self>, connection: &Arc<Connection>) {
        if connection.wants_preparation() {
            let (connector, connection) = (Arc::clone(self), Arc::clone(connection));
            // Where no thread can be started, the next survey tries again.
            let _ = threads::start("libvirt-open", move || {
                connector.prepare(&connection);
                connector.events.note_all_changed();
            });
        }
    }

    fn open(&self, serial: u64) {
        let result = Connection::open(self.library, &self.uri, serial).map(Arc::new);
        let mut state = lock(&self.state);
        match result {
            Err(error) => state.fail(error),
            Ok(connection) => {
                state.opening -= 1;
                state.status.connections_opened += 1;
                state.failure = None;
                state.refusals = 0;
                state.unprepared = Some(Instant::now() + PREPARATION);
                let before = state.connection.replace(Arc::clone(&connection));
                state.retired.extend(before.as_ref().map(Arc::downgrade));
                drop(state);
                self.changed.notify_all();
                let started = Instant::now();
                self.prepare(&connection);
                if started.elapsed() >= PREPARATION {
                    // A survey went on without its events.
                    self.events.note_all_changed();
                }
                state = lock(&self.state);
                if state.uses(serial) {
                    state.unprepared = None;
                }
            }
        }
        drop(state);
        self.changed.notify_all();
    }
}

impl State {
    fn uses(&self, serial: u64) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.serial == serial)
    }

    fn fail(&mut self, error: LibvirtError) {
        self.opening -= 1;
        self.status.connections_failed += 1;
        self.refusals += u32::from(error.is_login_refused());
        self.failure = Some(error);
    }

    /// Whether nothing may be tried for longer, as the last attempt was refused.
    fn must_rest(&self) -> bool {
        self.opening == 0 && self.failure.as_ref().is_some_and(LibvirtError::is_login_refused)
    }

    /// When the next attempt may start.
    fn next_attempt(&self, now: Instant) -> Instant {
        let Some(last) = self.last_attempt else { return now };
        last + match self.opening {
            0 if self.must_rest() => {
                let doublings = (self.refusals - 1).min(MAXIMUM_DOUBLINGS);
                (REFUSED_INTERVAL * 2_u32.pow(doublings)).min(MAXIMUM_REFUSED_INTERVAL)
            }
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

    #[test]
    fn a_login_that_was_refused_is_tried_again_ever_more_rarely_and_at_least_every_ten_minutes() {
        let now = Instant::now();
        let mut state = State { last_attempt: Some(now), ..State::default() };
        let mut fail = |message: &str| {
            state.opening += 1;
            state.fail(LibvirtError::own(OPEN, message));
            state.next_attempt(now).duration_since(now).as_secs()
        };
        let refused = "a@b: Permission denied (publickey).";
        assert_eq!([refused; 6].map(&mut fail), [60, 120, 240, 480, 600, 600]);
        // A host that is not there refuses nothing; when it is back, it refuses as before.
        assert_eq!(fail("ssh: connect to host b port 22: Connection refused"), 1);
        assert_eq!(fail(refused), 600);
    }
}
