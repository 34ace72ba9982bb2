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
use crate::connection::{Connection, Domain, Uuid, uuid_text};
use crate::connector::{ConnectionCounts, Connector, Undertaker};
use crate::dictionary::{Additions, Dictionary};
use crate::error::{LibvirtError, code};
use crate::library::{Library, rest_event_loop};
use crate::pool::{Abandoned, Answer, Limits, Need, Outcome, Pool, Subject, Task};
use crate::stats::{self, Row, SharedDictionary};

/// Strings of devices that are gone, which the dictionary holds before it starts anew: about a megabyte with
/// their copies in TypeScript.
const DICTIONARY_SLACK: usize = 5_000;

/// How long libvirt may take to know that a guest has ended whose end made a call fail: it first waits for the calls
/// that are at the guest's monitor, then for the process (`qemuProcessStop`).
const ENDING_PATIENCE: Duration = Duration::from_millis(250);

/// Present in a bulk record exactly when the guest's monitor was asked for its balloon: QEMU's driver adds it
/// right after that question (`qemuDomainMemoryStatsInternal`, libvirt 9.0).
const BALLOON_WAS_ASKED: &str = "balloon.rss";

/// Present in a bulk record of a running domain whenever the driver has the interface group at all.
const INTERFACES_WERE_ASKED: &str = "net.count";

/// Present in a bulk record exactly when the guest's monitor was asked for its disks.
const BLOCKS_WERE_ASKED: &str = "block.0.rd.reqs";

/// The devices that per-device calls ask for, by target name.
#[derive(Debug, Default)]
pub struct Devices {
    /// Disks (`vda`).
    pub disks: Vec<String>,
    /// Interfaces (`tap…`).
    pub interfaces: Vec<String>,
}

/// A domain that the last survey did not have.
#[derive(Debug, PartialEq, Eq)]
pub struct Appeared {
    /// Its number in all further talk. It belongs to one run of one domain and is never given to another.
    pub handle: u32,
    /// 8-4-4-4-12 hexadecimal digits.
    pub uuid: String,
    /// libvirt's id of this run.
    pub id: i32,
    /// libvirt's name.
    pub name: String,
}

/// Which domains there are.
#[derive(Debug, Default)]
pub struct Survey {
    /// Set when there is no list; the rest is empty then.
    pub failure: Option<LibvirtError>,
    /// The active domains, in libvirt's order.
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
    /// A domain that it concerned.
    pub handle: u32,
    /// How many there were.
    pub count: u32,
}

/// The values of the surveyed domains, as columns: domain `i` has the fields and values at
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
    /// What failed, counted.
    pub failures: Vec<Failure>,
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
}

/// Where an answer goes.
pub type Reply<T> = Box<dyn FnOnce(T) + Send>;

enum Command {
    Survey(Question, Reply<Survey>),
    Describe(Question, Vec<u32>, Reply<Vec<Description>>),
    Measure(Question, Reply<Measurement>),
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
            failed: HashSet::new(),
            has_bulk: false,
        };
        thread::Builder::new()
            .name(String::from("libvirt-survey"))
            .spawn(move || coordinator.serve(&receiver))?;
        Ok(Self { commands })
    }

    /// Lists the active domains and reads what needs no monitor.
    pub fn survey(&self, question: Question, reply: Reply<Survey>) {
        self.send(Command::Survey(question, reply));
    }

    /// Reads definitions of surveyed domains.
    pub fn describe(&self, question: Question, handles: Vec<u32>, reply: Reply<Vec<Description>>) {
        self.send(Command::Describe(question, handles, reply));
    }

    /// Reads the rest of the values of the surveyed domains and returns all of them.
    pub fn measure(&self, question: Question, reply: Reply<Measurement>) {
        self.send(Command::Measure(question, reply));
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
    /// The domains that failed at the last measurement.
    failed: HashSet<u32>,
    /// Whether the driver's bulk statistics go beyond the state (QEMU's do, the test driver's do not).
    has_bulk: bool,
}

/// What a task of a measurement found.
#[derive(Default)]
struct Reading {
    row: Row,
    errors: Vec<LibvirtError>,
    is_gone: bool,
    is_busy: bool,
}

impl Coordinator {
    fn serve(mut self, commands: &Receiver<Command>) {
        for command in commands {
            match command {
                Command::Survey(question, reply) => reply(self.survey(question)),
                Command::Describe(question, handles, reply) => {
                    reply(self.describe(question, &handles));
                }
                Command::Measure(question, reply) => reply(self.measure(question)),
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

    /// Runs tasks on the pool.
    fn run<T: Send + 'static>(&self, tasks: Vec<Task<T>>, limits: Limits) -> Vec<Outcome<T>> {
        let _rest = rest_event_loop();
        self.pool.run(tasks, limits, &mut || {
            if let Some(connection) = &self.connection {
                self.nudger.nudge(connection);
            }
        })
    }

    fn status(&self) -> Status {
        let (connections, connected) = self.connector.counts();
        Status { connected, connections, abandoned: self.pool.abandoned() }
    }

    fn survey(&mut self, question: Question) -> Survey {
        stats::lock(&self.dictionary).start_anew_when_full();
        let listed = match self.list(question) {
            Err(error) if error.1 => self.list(question),
            other => other,
        };
        match listed {
            Ok((connection, list)) => self.enrol(question, connection, list),
            Err((failure, _)) => {
                // Domains of a survey that failed must not be measured as if they were current.
                self.bury_domains();
                Survey { failure: Some(failure), ..Survey::default() }
            }
        }
    }

    /// The active domains; an error says also whether another try may help, the connection having been lost.
    #[expect(clippy::type_complexity, reason = "used once")]
    fn list(
        &self,
        question: Question,
    ) -> Result<(Arc<Connection>, Vec<(Domain, Row)>), (LibvirtError, bool)> {
        const CALL: &str = "virConnectGetAllDomainStats";
        let connection =
            self.connector.acquire(question.deadline).map_err(|error| (error, false))?;
        let groups = question.groups & stats::GROUPS_WITHOUT_MONITOR
            | bindings::VIR_DOMAIN_STATS_STATE
            | bindings::VIR_DOMAIN_STATS_INTERFACE;
        let (asked, dictionary) = (Arc::clone(&connection), Arc::clone(&self.dictionary));
        let task = Task {
            subject: Subject::Connection(connection.serial()),
            lane: connection.serial(),
            need: Need::Nothing,
            work: Box::new(move || Answer {
                value: stats::all_domains(&asked, groups, &dictionary),
                is_lost: false,
            }),
        };
        let limits = Limits { task: question.call_limit, all: question.deadline };
        match self.run(vec![task], limits).pop() {
            Some(Outcome::Done(Ok(list))) => Ok((connection, list)),
            Some(Outcome::Done(Err(error))) => Err((error, !connection.is_alive())),
            _ => {
                self.connector.discard(connection.serial());
                Err((LibvirtError::own(CALL, "libvirt did not answer before the deadline"), false))
            }
        }
    }

    fn bury_domains(&mut self) {
        self.undertaker.bury((self.connection.take(), std::mem::take(&mut self.domains)));
    }

    fn enrol(
        &mut self,
        question: Question,
        connection: Arc<Connection>,
        list: Vec<(Domain, Row)>,
    ) -> Survey {
        let is_same = self
            .connection
            .as_ref()
            .is_some_and(|previous| previous.serial() == connection.serial());
        if !is_same {
            self.bury_domains();
            self.connection = Some(connection);
        }
        let noted = self.connector.changes().take();
        let interfaces_were_asked =
            stats::lock(&self.dictionary).number(INTERFACES_WERE_ASKED.as_bytes());
        let mut survey = Survey::default();
        let mut roster = HashMap::with_capacity(list.len());
        let mut domains = Vec::with_capacity(list.len());
        self.has_bulk = list.iter().any(|(_, row)| row.has(interfaces_were_asked));
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
    fn release_orphans(&self, question: Question) {
        let orphans: HashSet<Subject> = self.pool.orphans().into_iter().collect();
        if orphans.is_empty() {
            return;
        }
        let mut gone = orphans.clone();
        let mut tasks = Vec::new();
        for surveyed in &self.domains {
            let subject = subject(&surveyed.domain);
            if !gone.remove(&subject) {
                continue;
            }
            let domain = Arc::clone(&surveyed.domain);
            let lane = domain.connection().serial();
            let work = Box::new(move || Answer {
                value: (subject, stats::is_monitor_occupied(&domain)),
                is_lost: false,
            });
            tasks.push(Task { subject, lane, need: Need::Nothing, work });
        }
        let limits = Limits { task: question.call_limit, all: question.deadline };
        let free = self.run(tasks, limits).into_iter().filter_map(|outcome| match outcome {
            Outcome::Done((subject, Ok(false))) => Some(subject),
            _ => None,
        });
        for subject in gone.into_iter().chain(free) {
            self.pool.release(subject);
        }
    }

    fn describe(&self, question: Question, handles: &[u32]) -> Vec<Description> {
        const CALL: &str = "virDomainGetXMLDesc";
        let wanted: HashSet<u32> = handles.iter().copied().collect();
        let domains: Vec<&Surveyed> =
            self.domains.iter().filter(|domain| wanted.contains(&domain.handle)).collect();
        let needs_job =
            self.connection.as_ref().is_some_and(|connection| connection.definition_needs_job());
        let tasks = domains
            .iter()
            .map(|surveyed| {
                let domain = Arc::clone(&surveyed.domain);
                let work = move || {
                    let value = stats::xml(&domain);
                    Answer { value, is_lost: !domain.connection().is_alive() }
                };
                Task {
                    subject: subject(&surveyed.domain),
                    lane: surveyed.domain.connection().serial(),
                    need: if needs_job { Need::Monitor } else { Need::Nothing },
                    work: Box::new(work) as Box<_>,
                }
            })
            .collect();
        let limits = Limits { task: question.call_limit, all: question.deadline };
        let outcomes = self.run(tasks, limits);
        domains
            .into_iter()
            .zip(outcomes)
            .map(|(surveyed, outcome)| {
                let definition = match outcome {
                    Outcome::Done(definition) => definition,
                    Outcome::Late => {
                        self.connector.replace(surveyed.domain.connection().serial());
                        Err(LibvirtError::own(CALL, "libvirt did not answer in time"))
                    }
                    Outcome::Quarantined | Outcome::Withheld => {
                        Err(LibvirtError::own(CALL, "not asked while earlier calls are out"))
                    }
                };
                Description { handle: surveyed.handle, definition }
            })
            .collect()
    }

    fn measure(&mut self, question: Question) -> Measurement {
        let marks = {
            let mut dictionary = stats::lock(&self.dictionary);
            Marks {
                balloon: dictionary.number(BALLOON_WAS_ASKED.as_bytes()),
                block: dictionary.number(BLOCKS_WERE_ASKED.as_bytes()),
            }
        };
        let mut owners = Vec::new();
        let mut tasks = Vec::new();
        for (index, surveyed) in self.domains.iter().enumerate() {
            for (need, work) in self.plan(surveyed, question.groups, marks) {
                owners.push(index);
                tasks.push(Task {
                    subject: subject(&surveyed.domain),
                    lane: surveyed.domain.connection().serial(),
                    need,
                    work,
                });
            }
        }
        let limits = Limits { task: question.call_limit, all: question.deadline };
        let outcomes = self.run(tasks, limits);
        let mut verdicts = vec![Verdict::Complete; self.domains.len()];
        let mut errors = Vec::new();
        for (index, outcome) in owners.into_iter().zip(outcomes) {
            let surveyed = &mut self.domains[index];
            let verdict = match outcome {
                Outcome::Done(reading) => {
                    let verdict = reading.verdict();
                    surveyed.row.append(reading.row);
                    errors.push((index, reading.errors));
                    verdict
                }
                Outcome::Late => Verdict::Late,
                Outcome::Quarantined => Verdict::Quarantined,
                Outcome::Withheld => Verdict::Withheld,
            };
            verdicts[index] = verdicts[index].max(verdict);
        }
        self.find_gone(limits, &mut verdicts);
        let mut failures = Failures::default();
        for (index, errors) in errors {
            if verdicts[index] != Verdict::Gone {
                failures.count(self.domains[index].handle, errors);
            }
        }
        if verdicts.contains(&Verdict::Late)
            && let Some(connection) = &self.connection
        {
            self.connector.replace(connection.serial());
        }
        let rows = self.domains.iter_mut().map(|surveyed| std::mem::take(&mut surveyed.row));
        let additions = stats::lock(&self.dictionary).additions();
        columns(rows, &verdicts, additions, failures)
    }

    /// Looks once more at the domains that failed: libvirt takes a moment to list a guest as gone whose end
    /// made a call fail, and that a guest has ended is no failure. One that fails again and again is not waited for.
    fn find_gone(&mut self, limits: Limits, verdicts: &mut [Verdict]) {
        let failed: Vec<usize> =
            (0..verdicts.len()).filter(|&index| verdicts[index] == Verdict::Failed).collect();
        let before = std::mem::replace(
            &mut self.failed,
            failed.iter().map(|&index| self.domains[index].handle).collect(),
        );
        if failed.is_empty() {
            return;
        }
        let now = Instant::now();
        // The same for all of them: when many fail at once they have not ended one by one.
        let patient_until =
            now + ENDING_PATIENCE.min(limits.all.saturating_duration_since(now) / 2);
        let tasks = failed
            .iter()
            .map(|&index| {
                let domain = Arc::clone(&self.domains[index].domain);
                let (subject, lane) = (subject(&domain), domain.connection().serial());
                let is_new = !before.contains(&self.domains[index].handle);
                let until = if is_new { patient_until } else { now };
                let work = Box::new(move || Answer {
                    value: stats::ends_until(&domain, until),
                    is_lost: !domain.connection().is_alive(),
                });
                Task { subject, lane, need: Need::Nothing, work }
            })
            .collect();
        for (index, outcome) in failed.into_iter().zip(self.run(tasks, limits)) {
            if outcome == Outcome::Done(true) {
                verdicts[index] = Verdict::Gone;
            }
        }
    }

    /// The calls for one domain: each value from the cheapest call that has it. What needs no monitor is a
    /// task of its own, so that a hung guest keeps it.
    fn plan(&self, surveyed: &Surveyed, groups: u32, marks: Marks) -> Vec<(Need, Work)> {
        let devices = self.devices.get(&surveyed.handle).cloned().unwrap_or_default();
        let domain = &surveyed.domain;
        let reader = Reader {
            domain: Arc::clone(domain),
            dictionary: Arc::clone(&self.dictionary),
            devices,
            marks,
        };
        let mut work: Vec<(Need, Work)> = Vec::with_capacity(2);
        let wants_cpu = groups & bindings::VIR_DOMAIN_STATS_CPU_TOTAL != 0;
        let wants_interfaces = groups & bindings::VIR_DOMAIN_STATS_INTERFACE != 0 && !self.has_bulk;
        let wants_monitor =
            groups & !stats::GROUPS_WITHOUT_MONITOR & !bindings::VIR_DOMAIN_STATS_CPU_TOTAL;
        if wants_cpu || wants_interfaces {
            let reader = reader.clone();
            let work_without =
                move || reader.answer(reader.without_monitor(wants_cpu, wants_interfaces));
            work.push((Need::Nothing, Box::new(work_without)));
        }
        if wants_monitor != 0 {
            let has_bulk = self.has_bulk;
            let work_with = move || {
                reader.answer(if has_bulk {
                    reader.with_monitor(wants_monitor)
                } else {
                    reader.call_by_call(wants_monitor)
                })
            };
            work.push((Need::Monitor, Box::new(work_with)));
        }
        work
    }
}

type Work = Box<dyn FnOnce() -> Answer<Reading> + Send>;

/// Field numbers that tell whether libvirt asked the guest's monitor.
#[derive(Clone, Copy)]
struct Marks {
    balloon: u32,
    block: u32,
}

/// Reads one domain's values; each method makes its calls one after the other.
#[derive(Clone)]
struct Reader {
    domain: Arc<Domain>,
    dictionary: SharedDictionary,
    devices: Arc<Devices>,
    marks: Marks,
}

impl Reader {
    fn answer(&self, value: Reading) -> Answer<Reading> {
        let is_lost = !value.errors.is_empty() && !self.domain.connection().is_alive();
        Answer { value, is_lost }
    }

    fn without_monitor(&self, wants_cpu: bool, wants_interfaces: bool) -> Reading {
        let mut reading = Reading::default();
        if wants_cpu {
            self.keep(&mut reading, stats::cpu(&self.domain, &self.dictionary));
        }
        if wants_interfaces {
            for (index, target) in self.devices.interfaces.iter().enumerate() {
                let values = stats::interface(&self.domain, index, target, &self.dictionary);
                self.keep_device(&mut reading, values);
            }
        }
        reading
    }

    /// One bulk call for the domain, and a call of its own for a lone disk, which costs one round trip of the
    /// monitor where the bulk group takes several.
    fn with_monitor(&self, groups: u32) -> Reading {
        let mut reading = Reading::default();
        let block = bindings::VIR_DOMAIN_STATS_BLOCK;
        let lone_disk = match self.devices.disks.as_slice() {
            [target] if groups & block != 0 => Some(target),
            _ => None,
        };
        let bulk = if lone_disk.is_some() { groups & !block } else { groups };
        if bulk != 0 {
            self.keep(&mut reading, stats::one_domain(&self.domain, bulk, &self.dictionary));
            reading.is_busy = bulk & bindings::VIR_DOMAIN_STATS_BALLOON != 0
                && !reading.row.has(self.marks.balloon)
                || bulk & block != 0
                    && !self.devices.disks.is_empty()
                    && !reading.row.has(self.marks.block);
        }
        // The call for a lone disk has no NOWAIT: it is made only when the guest has just answered.
        if let Some(target) = lone_disk
            && !reading.is_busy
            && !reading.is_gone
        {
            let values = stats::block(&self.domain, 0, target, &self.dictionary);
            self.keep_device(&mut reading, values);
        }
        reading
    }

    /// For drivers whose bulk statistics stop at the state.
    fn call_by_call(&self, groups: u32) -> Reading {
        let mut reading = Reading::default();
        if groups & bindings::VIR_DOMAIN_STATS_BALLOON != 0 {
            self.keep(&mut reading, stats::memory(&self.domain, &self.dictionary));
        }
        if groups & bindings::VIR_DOMAIN_STATS_BLOCK != 0 {
            for (index, target) in self.devices.disks.iter().enumerate() {
                let values = stats::block(&self.domain, index, target, &self.dictionary);
                self.keep_device(&mut reading, values);
            }
        }
        reading
    }

    /// As `keep`. A device that libvirt does not know was detached since its definition was read.
    fn keep_device(&self, reading: &mut Reading, values: Result<Row, LibvirtError>) {
        match values {
            Err(error) if error.code == code::INVALID_ARGUMENT => {}
            other => self.keep(reading, other),
        }
    }

    fn keep(&self, reading: &mut Reading, values: Result<Row, LibvirtError>) {
        match values {
            Ok(row) => reading.row.append(row),
            Err(error) if stats::has_gone(&self.domain, &error) => reading.is_gone = true,
            // What the driver cannot give is absent, and asking for it is no failure.
            Err(error) if error.is_unsupported() => {}
            Err(error) => reading.errors.push(error),
        }
    }
}

impl Reading {
    fn verdict(&self) -> Verdict {
        if self.is_gone {
            Verdict::Gone
        } else if self.is_busy {
            Verdict::Busy
        } else if self.errors.is_empty() {
            Verdict::Complete
        } else {
            Verdict::Failed
        }
    }
}

#[derive(Default)]
struct Failures(BTreeMap<(&'static str, i32), Failure>);

impl Failures {
    fn count(&mut self, handle: u32, errors: Vec<LibvirtError>) {
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

fn columns(
    rows: impl Iterator<Item = Row>,
    verdicts: &[Verdict],
    additions: Additions,
    failures: Failures,
) -> Measurement {
    let mut measurement = Measurement {
        verdicts: verdicts.iter().map(|&verdict| verdict as u8).collect(),
        offsets: vec![0],
        text_offsets: vec![0],
        dictionary_base: additions.base,
        dictionary_strings: additions.strings,
        failures: failures.0.into_values().collect(),
        ..Measurement::default()
    };
    for mut row in rows {
        row.sort();
        for (field, value) in row.numbers {
            measurement.fields.push(field);
            measurement.values.push(value);
        }
        for (field, text) in row.texts {
            measurement.text_fields.push(field);
            measurement.texts.push(text);
        }
        measurement.offsets.push(length(&measurement.fields));
        measurement.text_offsets.push(length(&measurement.text_fields));
    }
    measurement
}

fn length(column: &[u32]) -> u32 {
    u32::try_from(column.len()).expect("libvirt's replies are at most 32 MiB")
}
