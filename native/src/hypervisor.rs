//! What the exporter asks of a hypervisor, in three steps: survey, describe, measure.
//!
//! One thread (the coordinator) takes the questions in turn. It makes no libvirt call itself: those run on
//! the pool, so that it can answer in time whatever libvirt does.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::CString;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::bindings;
use crate::bulk;
use crate::call_times::{CallLog, CallTime, CallTimes};
use crate::connection::{Connection, Domain, Uuid, uuid_text};
use crate::connector::{ConnectionCounts, Connector, Undertaker};
use crate::dictionary::{Additions, Dictionary};
use crate::domain_calls::{self, Occupation};
use crate::error::LibvirtError;
use crate::host::{Entity, HostCall, HostReading};
use crate::library::{Library, rest_event_loop};
use crate::pool::{Abandoned, Answer, Limits, Need, Outcome, Pool, Subject, Task};
use crate::reader::{self, Devices, Marks, Reader, Reading};
use crate::row::{Row, SharedDictionary, lock};

/// Strings of devices that are gone, which the dictionary holds before it starts anew: about a hundred kilobytes with
/// their copies in TypeScript.
const DICTIONARY_SLACK: usize = 500;

/// How long libvirt may take to know that a guest has ended whose end made a call fail: it first waits for the calls
/// that are at the guest's monitor, then for the process (`qemuProcessStop`).
const ENDING_PATIENCE: Duration = Duration::from_secs(1);

/// After how long a domain is asked again that somebody else was asking: most questions to a guest take a millisecond.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// How long a domain that failed counts as one that fails again and again: longer than any sensible scrape interval.
const FAILURE_MEMORY: Duration = Duration::from_secs(600);

/// Why there is nothing from a call that was given up.
const LATE: &str = "libvirt did not answer in time";

/// Why there is no list.
const TOO_LATE: &str = "libvirt did not answer before the deadline";

/// Why there is nothing from a call that was not made.
const NOT_ASKED: &str = "not asked while earlier calls are out";

/// Present in a bulk record of a running domain whenever the driver has the interface group at all.
const INTERFACES_WERE_ASKED: &str = "net.count";

/// A domain that the last survey did not have.
#[derive(Debug, PartialEq, Eq)]
pub struct Appeared {
    /// Its number in all further talk. It belongs to one run of one domain and is never given to another.
    pub handle: u32,
    /// 8-4-4-4-12 hexadecimal digits.
    pub uuid: String,
    /// libvirt's id of this run; -1 when it is shut off.
    pub id: i32,
    /// libvirt's name.
    pub name: String,
}

/// Which domains there are.
#[derive(Debug, Default)]
pub struct Survey {
    /// Set when there is no list; the rest is empty then.
    pub failure: Option<LibvirtError>,
    /// The domains, in libvirt's order: the active ones, and with `inactive` those that are shut off.
    pub handles: Vec<u32>,
    /// Those of them that are new.
    pub appeared: Vec<Appeared>,
    /// Those whose definition may have changed since the last survey.
    pub changed: Vec<u32>,
}

/// A domain's definition, or why it could not be had.
#[derive(Debug)]
pub struct Description {
    /// Whose.
    pub handle: u32,
    /// The XML.
    pub definition: Result<String, LibvirtError>,
}

/// How complete a domain's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Verdict {
    /// All that was asked was answered.
    Complete = 0,
    /// libvirt refused a call.
    Failed = 1,
    /// Somebody else is asking this guest; libvirt skipped what needs its monitor.
    Busy = 2,
    /// The bound of abandoned calls or the deadline was reached before it was asked.
    Withheld = 3,
    /// An earlier call is still out.
    Quarantined = 4,
    /// It did not answer in time; the call is abandoned.
    Late = 5,
    /// It is no longer there.
    Gone = 6,
}

/// Calls that failed alike.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// One of them.
    pub error: LibvirtError,
    /// A domain that it concerned; none for a call about the host.
    pub handle: Option<u32>,
    /// How many there were.
    pub count: u32,
}

/// The values of the asked domains, as columns: domain `i` has the fields and values at
/// `offsets[i]..offsets[i + 1]`, ascending by field number.
#[derive(Debug, Default)]
pub struct Measurement {
    /// A `Verdict` for each domain.
    pub verdicts: Vec<u8>,
    /// Where each domain's numbers begin, and where the last one's end.
    pub offsets: Vec<u32>,
    /// Dictionary numbers of the fields' names.
    pub fields: Vec<u32>,
    /// The values.
    pub values: Vec<f64>,
    /// As `offsets`, for texts.
    pub text_offsets: Vec<u32>,
    /// As `fields`, for texts.
    pub text_fields: Vec<u32>,
    /// Dictionary numbers of the texts.
    pub texts: Vec<u32>,
    /// The dictionary's news.
    pub dictionary_base: u32,
    /// See `dictionary_base`.
    pub dictionary_strings: Vec<String>,
    /// What the calls about the host gave.
    pub entities: Vec<Entity>,
    /// What failed, counted.
    pub failures: Vec<Failure>,
    /// The calls since the last measurement, by function.
    pub call_times: BTreeMap<&'static str, CallTime>,
}

/// The state of the connection and of what is out.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// Whether a connection is open.
    pub connected: bool,
    /// Counts of the connection since the start.
    pub connections: ConnectionCounts,
    /// Calls and domains that are given up for now.
    pub abandoned: Abandoned,
}

/// How long, and what.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// When the answer is due.
    pub deadline: Instant,
    /// How long one call may take.
    pub call_limit: Duration,
    /// Groups of `virDomainStatsTypes`.
    pub groups: u32,
    /// Calls about domains, see `reader::call`.
    pub domain_calls: u32,
    /// Calls about the host, see `HostCall`.
    pub host_calls: u32,
    /// Whether domains that are shut off are listed.
    pub inactive: bool,
}

impl Question {
    fn limits(&self) -> Limits {
        Limits { task: self.call_limit, all: self.deadline }
    }
}

/// Where an answer goes.
pub type Reply<T> = Box<dyn FnOnce(T) + Send>;

enum Command {
    Survey(Question, Reply<Survey>),
    Describe(Question, Vec<u32>, Reply<Vec<Description>>),
    Measure(Question, Vec<u32>, Reply<Measurement>),
    Devices(u32, Devices),
    Status(Reply<Status>),
    Close(Reply<()>),
}

/// A hypervisor as seen through one libvirt URI. Questions are answered in the order they were put.
pub struct Hypervisor {
    commands: Sender<Command>,
}

impl Hypervisor {
    /// Starts the coordinator; no connection is opened before the first survey.
    ///
    /// # Errors
    /// The system's reason when a thread cannot be started.
    pub fn start(
        library: &'static Library,
        uri: CString,
        concurrency: usize,
        maximum_abandoned: usize,
    ) -> std::io::Result<Self> {
        let (commands, receiver) = channel();
        let undertaker = Undertaker::start()?;
        let coordinator = Coordinator {
            connector: Arc::new(Connector::new(library, uri, undertaker.clone())),
            undertaker,
            pool: Pool::new(concurrency, maximum_abandoned),
            nudger: Nudger::start()?,
            dictionary: Arc::new(Mutex::new(Dictionary::new(DICTIONARY_SLACK))),
            connection: None,
            roster: HashMap::new(),
            next_handle: 0,
            domains: Vec::new(),
            devices: HashMap::new(),
            failed: FailureTimes::default(),
            call_times: CallTimes::default(),
        };
        thread::Builder::new()
            .name(String::from("libvirt-survey"))
            .spawn(move || coordinator.serve(&receiver))?;
        Ok(Self { commands })
    }

    /// Lists the domains and reads what needs no monitor.
    pub fn survey(&self, question: Question, reply: Reply<Survey>) {
        self.send(Command::Survey(question, reply));
    }

    /// Reads definitions of surveyed domains.
    pub fn describe(&self, question: Question, handles: Vec<u32>, reply: Reply<Vec<Description>>) {
        self.send(Command::Describe(question, handles, reply));
    }

    /// Reads the rest of the values of surveyed domains, and what is asked about the host.
    pub fn measure(&self, question: Question, handles: Vec<u32>, reply: Reply<Measurement>) {
        self.send(Command::Measure(question, handles, reply));
    }

    /// Says which devices a domain has, for calls that need their names.
    pub fn set_devices(&self, handle: u32, devices: Devices) {
        self.send(Command::Devices(handle, devices));
    }

    /// The present state.
    pub fn status(&self, reply: Reply<Status>) {
        self.send(Command::Status(reply));
    }

    /// Closes the connection; the next survey would open another.
    pub fn close(&self, reply: Reply<()>) {
        self.send(Command::Close(reply));
    }

    fn send(&self, command: Command) {
        // The coordinator lives as long as this sender does.
        let _ = self.commands.send(command);
    }
}

struct Surveyed {
    handle: u32,
    domain: Arc<Domain>,
    row: Row,
}

/// Wakes a connection's calls up.
///
/// Of the calls on one connection, one waits at the socket for all of them; the others tell it when they have
/// something to send. libvirt's client loses that wake-up when it comes just as the waiting call begins to wait
/// (`virNetClientIO` quits a `GMainLoop` that does not run yet; seen with 9.0). Usually the next message makes up for
/// it; when the waiting call hangs with its guest there may be none. A further call does.
struct Nudger {
    sender: SyncSender<Arc<Connection>>,
}

impl Nudger {
    fn start() -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel::<Arc<Connection>>(1);
        thread::Builder::new().name(String::from("libvirt-nudge")).spawn(move || {
            for connection in receiver {
                connection.ping();
            }
        })?;
        Ok(Self { sender })
    }

    /// Makes a call on a connection, without blocking the caller. While one is out there is no need of another.
    fn nudge(&self, connection: &Arc<Connection>) {
        let _ = self.sender.try_send(Arc::clone(connection));
    }
}

struct Coordinator {
    connector: Arc<Connector>,
    undertaker: Undertaker,
    pool: Pool,
    nudger: Nudger,
    dictionary: SharedDictionary,
    /// The connection of `domains`; holding it keeps their dropping from closing it here.
    connection: Option<Arc<Connection>>,
    roster: HashMap<(Uuid, i32), u32>,
    next_handle: u32,
    domains: Vec<Surveyed>,
    devices: HashMap<u32, Arc<Devices>>,
    /// When domains failed that did so lately.
    failed: FailureTimes,
    /// The calls since the last measurement.
    call_times: CallTimes,
}

type Work<T> = Box<dyn FnOnce(&CallLog) -> Answer<T> + Send>;

/// A task before it has its log.
struct Job<T> {
    subject: Subject,
    lane: u64,
    need: Need,
    work: Work<T>,
}

/// What a task of a measurement is about: a surveyed domain, by position, or the host.
#[derive(Clone, Copy)]
enum Owner {
    Domain(usize),
    Host(HostCall),
}

/// What a task of a measurement found.
enum Found {
    Domain(Reading),
    Host(HostReading),
}

impl Coordinator {
    fn serve(mut self, commands: &Receiver<Command>) {
        for command in commands {
            match command {
                Command::Survey(question, reply) => reply(self.survey(question)),
                Command::Describe(question, handles, reply) => {
                    reply(self.describe(question, &handles));
                }
                Command::Measure(question, handles, reply) => {
                    reply(self.measure(question, &handles));
                }
                Command::Devices(handle, devices) => {
                    self.devices.insert(handle, Arc::new(devices));
                }
                Command::Status(reply) => reply(self.status()),
                Command::Close(reply) => {
                    self.connector.close();
                    self.undertaker
                        .bury((self.connection.take(), std::mem::take(&mut self.domains)));
                    self.undertaker.bury(Afterwards(Some(reply)));
                }
            }
        }
    }

    /// Runs tasks on the pool and keeps what their calls took.
    fn run<T: Send + 'static>(&mut self, jobs: Vec<Job<T>>, limits: Limits) -> Vec<Outcome<T>> {
        let _rest = rest_event_loop();
        let mut logs = Vec::with_capacity(jobs.len());
        let tasks = jobs
            .into_iter()
            .map(|Job { subject, lane, need, work }| {
                let log = Arc::new(CallLog::default());
                logs.push(Arc::clone(&log));
                Task { subject, lane, need, work: Box::new(move || work(&log)) }
            })
            .collect();
        let outcomes = self.pool.run(tasks, limits, &mut || {
            if let Some(connection) = &self.connection {
                self.nudger.nudge(connection);
            }
        });
        for log in logs {
            self.call_times.close(&log, limits.task, limits.all);
        }
        outcomes
    }

    fn status(&self) -> Status {
        let (connections, connected) = self.connector.counts();
        Status { connected, connections, abandoned: self.pool.abandoned() }
    }

    fn survey(&mut self, question: Question) -> Survey {
        lock(&self.dictionary).start_anew_when_full();
        let listed = match self.list(question) {
            Err(error) if error.1 => self.list(question),
            other => other,
        };
        match listed {
            Ok((connection, list)) => self.enrol(question, &connection, list),
            Err((failure, _)) => {
                // Domains of a survey that failed must not be measured as if they were current.
                self.bury_domains();
                Survey { failure: Some(failure), ..Survey::default() }
            }
        }
    }

    /// The domains; an error says also whether another try may help, the connection having been lost.
    #[expect(clippy::type_complexity, reason = "used once")]
    fn list(
        &mut self,
        question: Question,
    ) -> Result<(Arc<Connection>, Vec<(Domain, Row)>), (LibvirtError, bool)> {
        const CALL: &str = "virConnectGetAllDomainStats";
        let connection =
            self.connector.acquire(question.deadline).map_err(|error| (error, false))?;
        let mut groups =
            question.groups & bulk::GROUPS_WITHOUT_MONITOR | bindings::VIR_DOMAIN_STATS_STATE;
        if connection.has_bulk().is_none() {
            // Whether there are any tells what the driver can do.
            groups |= bindings::VIR_DOMAIN_STATS_INTERFACE;
        }
        let (asked, dictionary) = (Arc::clone(&connection), Arc::clone(&self.dictionary));
        let job = Job {
            subject: Subject::Connection(connection.serial()),
            lane: connection.serial(),
            need: Need::Nothing,
            work: Box::new(move |log: &CallLog| Answer {
                value: bulk::all_domains(&asked, groups, question.inactive, log, &dictionary),
                is_lost: false,
            }),
        };
        let error = match self.run(vec![job], question.limits()).pop() {
            Some(Outcome::Done(Ok(list))) => return Ok((connection, list)),
            Some(Outcome::Done(Err(error))) => (error, !connection.is_alive()),
            // It was not asked, so the connection is not to blame: it may have been opened just now.
            Some(Outcome::Withheld) if Instant::now() < question.deadline => {
                (LibvirtError::own(CALL, NOT_ASKED), false)
            }
            Some(Outcome::Withheld) => (LibvirtError::own(CALL, TOO_LATE), false),
            Some(Outcome::Late | Outcome::Quarantined) | None => {
                self.connector.discard(connection.serial());
                (LibvirtError::own(CALL, TOO_LATE), false)
            }
        };
        // Whoever lets go of a connection last closes it, and that may block.
        self.undertaker.bury(connection);
        Err(error)
    }

    fn bury_domains(&mut self) {
        self.undertaker.bury((self.connection.take(), std::mem::take(&mut self.domains)));
    }

    fn enrol(
        &mut self,
        question: Question,
        connection: &Arc<Connection>,
        list: Vec<(Domain, Row)>,
    ) -> Survey {
        let is_same = self
            .connection
            .as_ref()
            .is_some_and(|previous| previous.serial() == connection.serial());
        if !is_same {
            self.bury_domains();
            self.connection = Some(Arc::clone(connection));
        }
        let noted = self.connector.changes().take();
        let interfaces_were_asked = lock(&self.dictionary).number(INTERFACES_WERE_ASKED.as_bytes());
        let mut survey = Survey::default();
        let mut roster = HashMap::with_capacity(list.len());
        let mut domains = Vec::with_capacity(list.len());
        if connection.has_bulk().is_none() && list.iter().any(|(domain, _)| domain.id() >= 0) {
            connection.note_bulk(list.iter().any(|(_, row)| row.has(interfaces_were_asked)));
        }
        for (domain, row) in list {
            let key = (domain.uuid(), domain.id());
            let known = self.roster.get(&key).copied();
            let handle = known.unwrap_or_else(|| {
                let handle = self.next_handle;
                self.next_handle = self.next_handle.wrapping_add(1);
                let (uuid, id, name) = (uuid_text(&key.0), key.1, domain.name());
                survey.appeared.push(Appeared { handle, uuid, id, name });
                handle
            });
            if known.is_some() && (noted.all || noted.domains.contains(&key.0)) {
                survey.changed.push(handle);
            }
            roster.insert(key, handle);
            survey.handles.push(handle);
            domains.push(Surveyed { handle, domain: Arc::new(domain), row });
        }
        if self.devices.len() > domains.len() {
            let present: HashSet<u32> = survey.handles.iter().copied().collect();
            self.devices.retain(|handle, _| present.contains(handle));
        }
        self.roster = roster;
        self.domains = domains;
        self.release_orphans(question);
        survey
    }

    /// Finds out about domains whose call was lost with its connection: when the domain is gone, or libvirt says
    /// that its monitor is not occupied, no worker of the daemon is at it any more.
    fn release_orphans(&mut self, question: Question) {
        let orphans: HashSet<Subject> = self.pool.orphans().into_iter().collect();
        if orphans.is_empty() {
            return;
        }
        let mut gone = orphans.clone();
        let mut jobs = Vec::new();
        for surveyed in &self.domains {
            let subject = subject(&surveyed.domain);
            if !gone.remove(&subject) {
                continue;
            }
            let domain = Arc::clone(&surveyed.domain);
            let lane = domain.connection().serial();
            let work = Box::new(move |log: &CallLog| Answer {
                value: (subject, domain_calls::occupation(&domain, log)),
                is_lost: false,
            });
            jobs.push(Job { subject, lane, need: Need::Nothing, work });
        }
        let outcomes = self.run(jobs, question.limits());
        let free = outcomes.into_iter().filter_map(|outcome| match outcome {
            Outcome::Done((subject, occupation)) => is_free(&occupation).then_some(subject),
            _ => None,
        });
        for subject in gone.into_iter().chain(free) {
            self.pool.release(subject);
        }
    }

    fn describe(&mut self, question: Question, handles: &[u32]) -> Vec<Description> {
        const CALL: &str = "virDomainGetXMLDesc";
        let wanted: HashSet<u32> = handles.iter().copied().collect();
        let domains: Vec<(u32, Arc<Domain>)> = self
            .domains
            .iter()
            .filter(|surveyed| wanted.contains(&surveyed.handle))
            .map(|surveyed| (surveyed.handle, Arc::clone(&surveyed.domain)))
            .collect();
        let needs_job =
            self.connection.as_ref().is_some_and(|connection| connection.definition_needs_job());
        let jobs = domains
            .iter()
            .map(|(_, domain)| {
                let domain = Arc::clone(domain);
                let (subject, lane) = (subject(&domain), domain.connection().serial());
                let need = if needs_job { Need::Monitor } else { Need::Nothing };
                let work = move |log: &CallLog| {
                    let value = domain_calls::xml(&domain, log);
                    Answer { value, is_lost: !domain.connection().is_alive() }
                };
                Job { subject, lane, need, work: Box::new(work) as Box<_> }
            })
            .collect();
        let outcomes = self.run(jobs, question.limits());
        domains
            .into_iter()
            .zip(outcomes)
            .map(|((handle, domain), outcome)| {
                let definition = match outcome {
                    Outcome::Done(definition) => definition,
                    Outcome::Late => {
                        self.connector.replace(domain.connection().serial());
                        Err(LibvirtError::own(CALL, LATE))
                    }
                    Outcome::Quarantined | Outcome::Withheld => {
                        Err(LibvirtError::own(CALL, NOT_ASKED))
                    }
                };
                Description { handle, definition }
            })
            .collect()
    }

    fn measure(&mut self, question: Question, handles: &[u32]) -> Measurement {
        let positions: HashMap<u32, usize> = self
            .domains
            .iter()
            .enumerate()
            .map(|(position, surveyed)| (surveyed.handle, position))
            .collect();
        let asked: Vec<Option<usize>> =
            handles.iter().map(|handle| positions.get(handle).copied()).collect();
        let mut results: BTreeMap<usize, DomainResult> = asked
            .iter()
            .flatten()
            .map(|&position| (position, DomainResult::new(&self.domains[position])))
            .collect();
        let (owners, jobs): (Vec<Owner>, Vec<Job<Found>>) = self
            .domain_jobs(question, results.keys().copied())
            .into_iter()
            .chain(self.host_jobs(question))
            .unzip();
        let outcomes = self.ask(jobs, question.limits());
        let mut failures = Failures::default();
        let mut entities = Vec::new();
        for (owner, outcome) in owners.into_iter().zip(outcomes) {
            match owner {
                Owner::Domain(position) => {
                    if let Some(result) = results.get_mut(&position) {
                        result.add(outcome);
                    }
                }
                Owner::Host(call) => {
                    let reading = host_reading(call, outcome);
                    entities.extend(reading.entities);
                    failures.count(None, reading.errors);
                }
            }
        }
        self.ask_busy_again(question, &mut results);
        self.find_gone(question.limits(), &mut results);
        for (&position, result) in &mut results {
            result.row.sort();
            if result.verdict != Verdict::Gone {
                let handle = self.domains[position].handle;
                failures.count(Some(handle), std::mem::take(&mut result.errors));
            }
        }
        let rows = asked.iter().map(|position| position.and_then(|one| results.get(&one)));
        Measurement {
            entities,
            failures: failures.0.into_values().collect(),
            call_times: std::mem::take(&mut self.call_times).into_inner(),
            ..columns(rows, lock(&self.dictionary).additions())
        }
    }

    /// Runs tasks of a measurement; a connection on which some of them hang is replaced.
    fn ask(&mut self, jobs: Vec<Job<Found>>, limits: Limits) -> Vec<Outcome<Found>> {
        let outcomes = self.run(jobs, limits);
        if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Late))
            && let Some(connection) = &self.connection
        {
            self.connector.replace(connection.serial());
        }
        outcomes
    }

    /// Asks once more those that somebody else was asking, so that a page does not lack them for a question of a moment.
    fn ask_busy_again(&mut self, question: Question, results: &mut BTreeMap<usize, DomainResult>) {
        let limits = question.limits();
        let busy: Vec<usize> = results
            .iter()
            .filter(|(_, result)| result.verdict == Verdict::Busy)
            .map(|(&position, _)| position)
            .collect();
        if busy.is_empty() || Instant::now() + BUSY_PAUSE >= limits.all {
            return;
        }
        thread::sleep(BUSY_PAUSE);
        let (owners, jobs): (Vec<Owner>, Vec<Job<Found>>) = self
            .domain_jobs(question, busy.into_iter())
            .into_iter()
            .filter(|(_, job)| job.need == Need::Monitor)
            .unzip();
        for (owner, outcome) in owners.into_iter().zip(self.ask(jobs, limits)) {
            if let Owner::Domain(position) = owner
                && let Some(result) = results.get_mut(&position)
            {
                result.add_again(outcome);
            }
        }
    }

    /// The tasks for domains at these positions. What needs no monitor is a task of its own, so that a hung guest keeps
    /// it. A domain that is shut off is not asked.
    fn domain_jobs(
        &self,
        question: Question,
        positions: impl Iterator<Item = usize>,
    ) -> Vec<(Owner, Job<Found>)> {
        let marks = Marks::new(&self.dictionary);
        let has_bulk =
            self.connection.as_ref().and_then(|connection| connection.has_bulk()).unwrap_or(false);
        let mut jobs = Vec::new();
        for position in positions {
            let Surveyed { handle, domain, .. } = &self.domains[position];
            if domain.id() < 0 {
                continue;
            }
            let devices = self.devices.get(handle).cloned().unwrap_or_default();
            let disks = devices.disks.len();
            let reader = Reader {
                domain: Arc::clone(domain),
                dictionary: Arc::clone(&self.dictionary),
                devices,
                marks,
            };
            for step in reader::plan(question.groups, question.domain_calls, has_bulk, disks) {
                let reader = reader.clone();
                let work = move |log: &CallLog| {
                    let reading = reader.read(step, log);
                    let is_lost =
                        !reading.errors.is_empty() && !reader.domain.connection().is_alive();
                    Answer { value: Found::Domain(reading), is_lost }
                };
                let job = Job {
                    subject: subject(domain),
                    lane: domain.connection().serial(),
                    need: step.need(),
                    work: Box::new(work),
                };
                jobs.push((Owner::Domain(position), job));
            }
        }
        jobs
    }

    /// A task for each kind of calls about the host, so that one that hangs costs no other.
    fn host_jobs(&self, question: Question) -> Vec<(Owner, Job<Found>)> {
        let Some(connection) = &self.connection else { return Vec::new() };
        HostCall::ALL
            .into_iter()
            .filter(|(_, bit)| question.host_calls & bit != 0)
            .map(|(call, _)| {
                let asked = Arc::clone(connection);
                let work = move |log: &CallLog| Answer {
                    value: Found::Host(call.read(&asked, log)),
                    is_lost: false,
                };
                let job = Job {
                    subject: Subject::Host(call),
                    lane: connection.serial(),
                    need: Need::Host,
                    work: Box::new(work),
                };
                (Owner::Host(call), job)
            })
            .collect()
    }

    /// Looks once more at the domains that failed: libvirt takes a moment to list a guest as gone whose end
    /// made a call fail, and that a guest has ended is no failure. One that fails again and again is not waited for.
    fn find_gone(&mut self, limits: Limits, results: &mut BTreeMap<usize, DomainResult>) {
        let failed: Vec<usize> = results
            .iter()
            // With a failed call it may also be busy: what is asked again after one does not wait for those who end it.
            .filter(|(_, result)| !result.errors.is_empty() && result.verdict != Verdict::Gone)
            .map(|(&position, _)| position)
            .collect();
        if failed.is_empty() {
            return;
        }
        let now = Instant::now();
        let new = self.failed.note(now, failed.iter().map(|&at| self.domains[at].handle));
        // The same for all of them: when many fail at once they have not ended one by one.
        let patient_until =
            now + ENDING_PATIENCE.min(limits.all.saturating_duration_since(now) / 2);
        let jobs = failed
            .iter()
            .map(|&position| {
                let domain = Arc::clone(&self.domains[position].domain);
                let (subject, lane) = (subject(&domain), domain.connection().serial());
                let is_new = new.contains(&self.domains[position].handle);
                let until = if is_new { patient_until } else { now };
                let work = Box::new(move |log: &CallLog| Answer {
                    value: domain_calls::ends_until(&domain, until, log),
                    is_lost: !domain.connection().is_alive(),
                });
                Job { subject, lane, need: Need::Nothing, work }
            })
            .collect();
        for (position, outcome) in failed.into_iter().zip(self.run(jobs, limits)) {
            if outcome == Outcome::Done(true)
                && let Some(result) = results.get_mut(&position)
            {
                result.verdict = Verdict::Gone;
            }
        }
    }
}

/// When domains failed, by handle. Scrapes for several choices of collectors alternate, so that a domain which fails for one
/// of them all the time need not have failed at the last measurement.
#[derive(Default)]
struct FailureTimes(HashMap<u32, Instant>);

impl FailureTimes {
    /// Notes that these domains failed now; returns those that had not failed lately.
    fn note(&mut self, now: Instant, handles: impl Iterator<Item = u32>) -> HashSet<u32> {
        self.0.retain(|_, last| now.duration_since(*last) < FAILURE_MEMORY);
        handles.filter(|&handle| self.0.insert(handle, now).is_none()).collect()
    }
}

/// What a measurement found out about a domain.
struct DomainResult {
    verdict: Verdict,
    row: Row,
    errors: Vec<LibvirtError>,
}

impl DomainResult {
    /// What the survey knows.
    fn new(surveyed: &Surveyed) -> Self {
        Self { verdict: Verdict::Complete, row: surveyed.row.clone(), errors: Vec::new() }
    }

    /// Adds what a task found; the worse verdict counts.
    fn add(&mut self, outcome: Outcome<Found>) {
        let verdict = match outcome {
            Outcome::Done(Found::Domain(mut reading)) => {
                let verdict = verdict(&reading);
                self.row.append(reading.row);
                self.errors.append(&mut reading.errors);
                verdict
            }
            Outcome::Done(Found::Host(_)) => Verdict::Complete,
            Outcome::Late => Verdict::Late,
            Outcome::Quarantined => Verdict::Quarantined,
            Outcome::Withheld => Verdict::Withheld,
        };
        self.verdict = self.verdict.max(verdict);
    }

    /// Adds what a task found that was asked again because the domain was busy. Of values that both have, the later count.
    fn add_again(&mut self, outcome: Outcome<Found>) {
        let earlier = std::mem::take(&mut self.row);
        self.verdict = if self.errors.is_empty() { Verdict::Complete } else { Verdict::Failed };
        self.add(outcome);
        self.row.append(earlier);
    }
}

/// Whether a domain may be asked again whose call was lost with its connection. A driver that can never tell must not keep
/// it, and the place of its call, for good.
fn is_free(occupation: &Result<Occupation, LibvirtError>) -> bool {
    match occupation {
        Ok(occupation) => *occupation != Occupation::Monitor,
        Err(error) => error.is_unsupported(),
    }
}

fn verdict(reading: &Reading) -> Verdict {
    if reading.is_gone {
        Verdict::Gone
    } else if reading.is_busy {
        Verdict::Busy
    } else if reading.errors.is_empty() {
        Verdict::Complete
    } else {
        Verdict::Failed
    }
}

/// What a task about the host found; one that found nothing has failed.
fn host_reading(call: HostCall, outcome: Outcome<Found>) -> HostReading {
    let reason = match outcome {
        Outcome::Done(Found::Host(reading)) => return reading,
        Outcome::Done(Found::Domain(_)) => return HostReading::default(),
        Outcome::Late => LATE,
        Outcome::Quarantined | Outcome::Withheld => NOT_ASKED,
    };
    let errors = vec![LibvirtError::own(call.main_function(), reason)];
    HostReading { entities: Vec::new(), errors }
}

#[derive(Default)]
struct Failures(BTreeMap<(&'static str, i32), Failure>);

impl Failures {
    fn count(&mut self, handle: Option<u32>, errors: Vec<LibvirtError>) {
        for error in errors {
            let key = (error.call, error.code);
            self.0.entry(key).or_insert(Failure { error, handle, count: 0 }).count += 1;
        }
    }
}

/// Calls its reply when it is dropped: the undertaker drops things in turn.
struct Afterwards(Option<Reply<()>>);

impl Drop for Afterwards {
    fn drop(&mut self) {
        if let Some(reply) = self.0.take() {
            reply(());
        }
    }
}

fn subject(domain: &Domain) -> Subject {
    Subject::Domain(domain.uuid(), domain.id())
}

/// The columns of these domains; those that are not known any more have gone.
fn columns<'a>(
    results: impl Iterator<Item = Option<&'a DomainResult>>,
    additions: Additions,
) -> Measurement {
    let mut measurement = Measurement {
        offsets: vec![0],
        text_offsets: vec![0],
        dictionary_base: additions.base,
        dictionary_strings: additions.strings,
        ..Measurement::default()
    };
    for result in results {
        let verdict = result.map_or(Verdict::Gone, |result| result.verdict);
        measurement.verdicts.push(verdict as u8);
        if let Some(DomainResult { row, .. }) = result {
            for &(field, value) in &row.numbers {
                measurement.fields.push(field);
                measurement.values.push(value);
            }
            for &(field, text) in &row.texts {
                measurement.text_fields.push(field);
                measurement.texts.push(text);
            }
        }
        measurement.offsets.push(length(&measurement.fields));
        measurement.text_offsets.push(length(&measurement.text_fields));
    }
    measurement
}

fn length(column: &[u32]) -> u32 {
    u32::try_from(column.len()).expect("libvirt's replies are at most 32 MiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::code;

    #[test]
    fn a_domain_that_fails_is_new_until_it_is_noted_and_when_it_has_not_failed_for_long() {
        let mut times = FailureTimes::default();
        let start = Instant::now();
        let mut note = |elapsed, handles: &[u32]| {
            let new = times.note(start + elapsed, handles.iter().copied());
            (new.len(), new.contains(&1))
        };
        assert_eq!(note(Duration::ZERO, &[1, 2]), (2, true));
        // What a scrape for other collectors finds changes nothing about the others.
        assert_eq!(note(FAILURE_MEMORY / 2, &[2, 3]), (1, false));
        assert_eq!(note(FAILURE_MEMORY * 3 / 4, &[1]), (0, false));
        assert_eq!(note(FAILURE_MEMORY * 3 / 2, &[1]), (0, false));
        assert_eq!(note(FAILURE_MEMORY * 5 / 2, &[1]), (1, true));
    }

    #[test]
    fn what_a_busy_domain_says_when_it_is_asked_again_takes_the_place_of_what_it_did_not() {
        let row = |numbers: &[(u32, f64)]| Row { numbers: numbers.to_vec(), texts: Vec::new() };
        let reading = |numbers: &[(u32, f64)], is_busy| {
            let reading = Reading { row: row(numbers), is_busy, ..Reading::default() };
            Outcome::Done(Found::Domain(reading))
        };
        let failed = LibvirtError::own("virDomainGetCPUStats", "");
        for (errors, again, verdict, values) in [
            (vec![], reading(&[(2, 5.0), (3, 7.0)], false), Verdict::Complete, &[5.0, 7.0][..]),
            (vec![failed], reading(&[(2, 5.0)], false), Verdict::Failed, &[5.0][..]),
            (vec![], reading(&[(2, 4.0)], true), Verdict::Busy, &[4.0][..]),
            (vec![], Outcome::Late, Verdict::Late, &[3.0][..]),
        ] {
            let mut result = DomainResult { verdict: Verdict::Complete, row: row(&[]), errors };
            result.add(reading(&[(2, 3.0)], true));
            assert_eq!(result.verdict, Verdict::Busy);
            result.add_again(again);
            result.row.sort();
            assert_eq!(result.verdict, verdict);
            let numbers: Vec<f64> = result.row.numbers.iter().map(|(_, value)| *value).collect();
            assert_eq!(numbers, values);
        }
    }

    #[test]
    fn an_orphan_is_free_when_no_call_is_at_its_monitor_or_the_driver_can_never_tell() {
        let error =
            |code| LibvirtError { code, ..LibvirtError::own("virDomainGetControlInfo", "") };
        for (occupation, expected) in [
            (Ok(Occupation::None), true),
            (Ok(Occupation::Job), true),
            (Ok(Occupation::Monitor), false),
            (Err(error(code::NO_SUPPORT)), true),
            (Err(error(code::SYSTEM_ERROR)), false),
        ] {
            assert_eq!(is_free(&occupation), expected, "{occupation:?}");
        }
    }
}
