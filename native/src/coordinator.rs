//! Asks a hypervisor, in three steps: survey, describe, measure.
//!
//! One thread has the coordinator and takes the questions in turn. It makes no libvirt call itself: those run on the pool, so
//! that it can answer in time whatever libvirt does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::answers::Status;
use crate::breaker::Breaker;
use crate::call_log::CallLog;
use crate::call_times::CallTimes;
use crate::caller::Caller;
use crate::connection::{Connection, Domain};
use crate::connector::Connector;
use crate::domain_calls::DomainCaller;
use crate::error::LibvirtError;
use crate::events::Noted;
use crate::failure_times::FailureTimes;
use crate::library::{EventLoopPause, pause_event_loop};
use crate::pool::{Need, Pool, Request, Subject, Task};
use crate::question::{Question, QuestionOptions};
use crate::reader::Devices;
use crate::reading::Reading;
use crate::roster::{END_REASONS, List, Roster};
use crate::row::SharedDictionary;
use crate::threads::{self, lock};

/// Why there is nothing from a call that was given up.
pub const LATE: &str = "libvirt did not answer in time";

/// Why there is nothing from a call that was not made.
pub const NOT_ASKED: &str = "not asked while earlier calls are out";

/// How many calls that wake a connection up may be out.
const MAXIMUM_NUDGES: usize = 4;

/// Wakes a connection's calls up, without blocking the caller.
///
/// Of the calls on one connection, one waits at the socket for all of them; the others tell it when they have
/// something to send. libvirt's client loses that wake-up when it comes just as the waiting call begins to wait
/// (`virNetClientIO` quits a `GMainLoop` that does not run yet; seen with 9.0). Usually the next message makes up for
/// it; when the waiting call hangs with its guest there may be none. A further call does, if its own is not lost.
fn nudge(connection: Arc<Connection>) {
    if Arc::strong_count(&connection.nudges) > MAXIMUM_NUDGES {
        return;
    }
    let count = Arc::clone(&connection.nudges);
    // Where no thread can be started, the next time may be luckier.
    let _ = threads::start("libvirt-nudge", move || {
        connection.ping();
        drop(count);
    });
}

/// Asks one hypervisor. The steps are in `survey.rs`, `describe.rs` and `measure.rs`.
pub struct Coordinator {
    /// The question that is answered now, or was last.
    pub question: Question,
    pub connector: Arc<Connector>,
    pub pool: Pool,
    pub dictionary: SharedDictionary,
    pub roster: Roster,
    /// Definitions that may have changed since the last survey.
    pub changes: Noted,
    /// Where lists put what they have found, however late.
    pub returned_lists: Arc<Mutex<Vec<List>>>,
    /// When a list may be asked for beside one that is out.
    pub further_list: Breaker,
    /// When the host's virtual switches may be asked.
    pub switches: Breaker,
    pub devices: HashMap<u32, Arc<Devices>>,
    /// Runs of domains whose cgroup had no CPU time, and when that was.
    pub without_cgroup: HashMap<u32, Instant>,
    /// When domains failed that did so lately.
    pub failed: FailureTimes,
    /// The calls since the last measurement.
    pub call_times: CallTimes,
    /// The event loop pauses from a survey's first call until the values are there.
    pub event_loop_pause: Option<EventLoopPause>,
}

impl Coordinator {
    /// One that asks through these. It opens no connection before the first survey.
    pub fn new(connector: Connector, pool: Pool) -> Self {
        Self {
            question: Question::now(QuestionOptions::default()),
            connector: Arc::new(connector),
            pool,
            dictionary: Arc::default(),
            roster: Roster::default(),
            changes: Noted::default(),
            returned_lists: Arc::default(),
            further_list: Breaker::default(),
            switches: Breaker::default(),
            devices: HashMap::new(),
            without_cgroup: HashMap::new(),
            failed: FailureTimes::default(),
            call_times: CallTimes::default(),
            event_loop_pause: None,
        }
    }

    /// A task about a domain.
    pub fn domain_task(
        &self,
        domain: &Arc<Domain>,
        need: Need,
        limit: Duration,
        work: impl FnOnce(&DomainCaller) -> Reading + Send + 'static,
    ) -> Task {
        let subject = Subject::Domain(domain.run);
        let domain = Arc::clone(domain);
        self.task(&Arc::clone(&domain.connection), subject, need, limit, move |caller| {
            work(&DomainCaller { domain: &domain, caller })
        })
    }

    /// A task on a connection.
    pub fn task(
        &self,
        connection: &Arc<Connection>,
        subject: Subject,
        need: Need,
        limit: Duration,
        work: impl FnOnce(Caller) -> Reading + Send + 'static,
    ) -> Task {
        let request = Request { subject, lane: connection.serial, need, limit };
        let (connection, dictionary) = (Arc::clone(connection), Arc::clone(&self.dictionary));
        let work = Box::new(move |log: &CallLog| {
            let mut reading =
                work(Caller { connection: &connection, log, dictionary: &dictionary });
            // Here, or on the way.
            let is_lost =
                |error: &LibvirtError| error.is_connection_lost() || !connection.is_alive();
            reading.is_lost = reading.errors.iter().any(is_lost);
            reading
        });
        Task { request, work }
    }

    /// Wakes up what is still out on connections that are used no more.
    pub fn nudge_retired(&self) {
        self.connector.retired().into_iter().for_each(nudge);
    }

    /// Runs tasks on the pool and keeps what their calls took. Whose a task is stands beside it and beside what it found.
    pub fn run<Owner>(&mut self, tasks: Vec<(Owner, Task)>) -> Vec<(Owner, Reading)> {
        if tasks.is_empty() {
            return Vec::new();
        }
        self.event_loop_pause.get_or_insert_with(pause_event_loop);
        let (owners, tasks): (Vec<Owner>, Vec<Task>) = tasks.into_iter().unzip();
        let limits = self.question.limits();
        let readings = self.pool.run(tasks, limits, &mut self.call_times, &mut || {
            // Domains may be known by a connection that has just been replaced.
            let first = self.roster.domains().next();
            let connection = first.map(|one| Arc::clone(&one.domain.connection));
            if let Some(connection) = connection.or_else(|| self.connector.current()) {
                nudge(connection);
            }
        });
        owners.into_iter().zip(readings).collect()
    }

    /// The state of the connection and of what is out.
    pub fn status(&self) -> Status {
        let abandoned = self.pool.abandoned();
        let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Status {
            abandoned_monitor_calls: narrow(abandoned.guests),
            abandoned_other_calls: narrow(abandoned.others),
            quarantined: narrow(abandoned.subjects),
            ended_instances: END_REASONS.into_iter().zip(self.roster.ended).collect(),
            ..self.connector.status()
        }
    }

    /// Lets go of the connection, and calls `afterwards` when it has been closed; the next survey would open another.
    pub fn close(&mut self, afterwards: impl FnOnce() + Send + 'static) {
        self.roster.disconnect();
        lock(&self.returned_lists).clear();
        match self.connector.close() {
            Some(connection) => connection.when_closed(afterwards),
            None => afterwards(),
        }
    }
}
