//! Which domains there are, whatever holds libvirt's list up.
//!
//! Every list takes the lock of each domain in turn, and libvirt holds a domain's lock for seconds while it ends a guest
//! that hangs, runs a hook, or waits for storage. So a list that is late is waited for no longer: the scrape goes on with
//! the last roster. Each of its domains is then asked first by `virDomainListGetStats`, which waits for the lock of that
//! domain alone; calls by UUID would hold libvirt's own list while they wait, and with it whoever defines a domain.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::answers::{Survey, Verdict};
use crate::bindings;
use crate::bulk;
use crate::calls::groups::STATE;
use crate::connection::Connection;
use crate::coordinator::{Coordinator, LATE};
use crate::error::{LibvirtError, Result};
use crate::pool::{Need, Subject};
use crate::reading::Reading;
use crate::roster::List;
use crate::threads::lock;

/// How long a list is out before another one is asked for beside it, on another connection: that one may be lost.
const LOST_LIST_AGE: Duration = Duration::from_secs(30);

/// How long a call without a monitor may be abandoned on a connection before that is replaced: a domain's lock is held for a
/// moment, a monitor hangs for longer.
const LOCK_AGE: Duration = Duration::from_secs(3);

/// The function that asks whether the daemon answers.
const VERSION: &str = "virConnectGetLibVersion";

impl Coordinator {
    /// Lists the domains and their states. Without a list of this scrape, asks each domain of the last one.
    pub fn survey(&mut self) -> Survey {
        lock(&self.dictionary).start_anew_when_full();
        self.nudge_retired();
        self.take_returned_lists(false);
        self.roster.begin_scrape();
        let list_failure = match self.list() {
            Err(error) => return self.without_roster(error),
            Ok(Some(error)) if !self.probe() => return self.without_roster(error),
            Ok(missing) => missing,
        };
        self.forget_what_has_gone();
        let noted = std::mem::take(&mut self.changes);
        let appeared = self.roster.introduce();
        let domains = || self.roster.domains();
        let is_changed = |uuid| noted.all_changed || noted.changed.contains(&uuid);
        let changed = domains().filter(|one| is_changed(one.domain.run.uuid));
        let age = self.roster.listed_at.map(|listed_at| listed_at.elapsed().as_secs_f64());
        Survey {
            failure: None,
            handles: domains().map(|one| one.handle).collect::<Vec<_>>().into(),
            appeared,
            changed: changed.map(|one| one.handle).collect::<Vec<_>>().into(),
            list_age_seconds: age.unwrap_or_default(),
            list_failure,
        }
    }

    /// Takes over what events have told.
    fn note_events(&mut self) {
        let noted = self.connector.events().take();
        self.changes.all_changed |= noted.all_changed;
        self.changes.changed.extend(noted.changed);
        if noted.lifecycle.is_empty() {
            return;
        }
        if let Some(connection) = self.connector.current() {
            self.roster.note(noted.lifecycle, &connection);
        }
    }

    fn forget_what_has_gone(&mut self) {
        self.roster.remove_gone();
        let roster = &self.roster;
        self.pool.keep_orphans(|subject| roster.has(subject));
        self.devices.retain(|&handle, _| roster.get(handle).is_some());
        self.without_cgroup.retain(|&handle, _| roster.get(handle).is_some());
    }

    /// Nothing of this scrape was answered, or there is no list to go on with.
    fn without_roster(&mut self, error: LibvirtError) -> Survey {
        self.roster.disconnect();
        self.event_loop_pause = None;
        Survey::empty(error)
    }

    /// Stops using a connection, and the domains that are known by it.
    pub fn discard(&mut self, serial: u64) {
        self.connector.discard(serial);
        self.pool.blame_connection(serial);
        self.roster.disconnect();
    }

    /// Asks for the list of domains; once more on another connection when this one is lost. Says why there is no list of this
    /// scrape, unless there is one.
    ///
    /// # Errors
    /// Why there is no connection.
    pub fn list(&mut self) -> Result<Option<LibvirtError>> {
        let mut missing = LibvirtError::own(bulk::LIST, LATE);
        for _ in 0..2 {
            if let Some(connection) = self.connector.current()
                && !connection.is_alive()
            {
                self.discard(connection.serial);
            }
            let connection = self.connector.acquire(self.question.deadline)?;
            if !self.roster.is_connected() {
                self.roster.disconnect();
            }
            let connection = self.relieve(connection);
            if !self.may_list(&connection) {
                break;
            }
            let is_further = !self.pool.lists().is_empty();
            let mut reading = self.ask_list(&connection);
            if reading.verdict == Verdict::Complete {
                self.further_list.reset();
                self.take_returned_lists(true);
                return Ok(None);
            }
            if reading.verdict == Verdict::Late && is_further {
                self.further_list.open(Instant::now());
            }
            missing = reading.errors.pop().unwrap_or(missing);
            if !reading.is_lost {
                break;
            }
            self.discard(connection.serial);
        }
        self.note_events();
        Ok(Some(missing))
    }

    /// One list is out at a time, and one more on another connection: when the first has been out for long, or its connection
    /// was given up.
    fn may_list(&self, connection: &Connection) -> bool {
        let lists = self.pool.lists();
        let is_elsewhere = lists.iter().all(|&(lane, _)| lane != connection.serial);
        lists.is_empty()
            || lists.len() == 1 && is_elsewhere && !self.further_list.is_open(Instant::now())
    }

    /// Another connection in place of one on which calls are abandoned, so that others have a place to go. A list that is
    /// out does not count at first: the domains of the roster are known by that connection, and without a list by no other.
    fn relieve(&self, connection: Arc<Connection>) -> Arc<Connection> {
        let serial = connection.serial;
        let is_list_out =
            self.pool.lists().iter().any(|(_, since)| since.elapsed() < LOST_LIST_AGE);
        if is_list_out || !self.pool.is_troubled(serial, LOCK_AGE) {
            return connection;
        }
        self.replaced(connection, self.question.deadline)
    }

    /// Another connection in place of this one, if it is there in a moment, and before `limit`; otherwise this one.
    pub fn replaced(&self, connection: Arc<Connection>, limit: Instant) -> Arc<Connection> {
        let patience = Instant::now() + self.question.short_limit();
        self.connector.replaced(connection, patience.min(limit))
    }

    fn ask_list(&mut self, connection: &Arc<Connection>) -> Reading {
        self.note_events();
        let inactive = self.question.wanted.inactive;
        let returned = Arc::clone(&self.returned_lists);
        // Without a roster there is nothing to go on with.
        let has_roster = self.roster.listed_at.is_some();
        let limit = if has_roster { self.question.list_limit() } else { self.question.call_limit };
        let (subject, known) = (Subject::List(connection.serial), self.roster.runs_of(connection));
        let task = self.task(connection, subject, Need::List, limit, move |caller| {
            let asked_at = Instant::now();
            Reading::from_call(bulk::list(caller, inactive, &known), |_, domains| {
                lock(&returned).push(List { domains, asked_at });
            })
        });
        self.run(vec![((), task)]).pop().map(|((), reading)| reading).unwrap_or_default()
    }

    /// Takes over the lists that have come: one that was lost for a time may be among them.
    fn take_returned_lists(&mut self, is_of_this_scrape: bool) {
        let returned = std::mem::take(&mut *lock(&self.returned_lists));
        for list in returned {
            self.roster.adopt(list, is_of_this_scrape);
        }
        self.note_events();
    }

    /// Asks each domain of the roster for its state, without a list of this scrape. False when nothing was answered, or
    /// there is no roster.
    fn probe(&mut self) -> bool {
        let Some(connection) = self.connector.current() else { return false };
        let (serial, limit) = (connection.serial, self.question.call_limit);
        let subject = Subject::Daemon(serial);
        let daemon = self.task(&connection, subject, Need::Nothing, limit, |caller| {
            let is_well = caller.log.time(VERSION, || caller.connection.ping());
            let answer = is_well.then_some(());
            let answer = answer.ok_or_else(|| LibvirtError::last(caller.library(), VERSION));
            Reading::from_call(answer, |_, ()| ())
        });
        let mut tasks = vec![(None, daemon)];
        tasks.extend(self.roster.domains().map(|surveyed| {
            let limit = self.question.short_limit();
            let task = self.domain_task(&surveyed.domain, Need::Nothing, limit, |caller| {
                Reading::from_call(caller.statistics(STATE), |reading, row| reading.row = row)
            });
            (Some(surveyed.handle), task)
        }));
        let (mut is_well, mut was_asked) = (false, false);
        for (handle, reading) in self.run(tasks) {
            let has_gone = |error: &LibvirtError| error.is(bindings::VIR_ERR_NO_DOMAIN);
            let verdict = match reading.verdict {
                Verdict::Failed if reading.errors.iter().any(has_gone) => Verdict::Gone,
                Verdict::Failed if reading.is_lost => Verdict::Withheld,
                // It has answered, so nobody holds its lock. What it has to say is said by other calls.
                Verdict::Failed if handle.is_some() => Verdict::Complete,
                Verdict::Late | Verdict::Quarantined => Verdict::Locked,
                other => other,
            };
            was_asked |= !matches!(reading.verdict, Verdict::Quarantined | Verdict::Withheld);
            is_well |= matches!(verdict, Verdict::Complete | Verdict::Gone);
            if let Some(handle) = handle {
                self.roster.judge(handle, reading.row, verdict);
            }
        }
        // When calls that hang leave no place to ask anybody, that says nothing about the connection.
        if was_asked && !is_well {
            self.discard(serial);
        }
        self.roster.listed_at.is_some()
    }
}
