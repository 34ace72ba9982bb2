//! Worker threads for calls that may never return.
//!
//! A libvirt call cannot be cancelled. So calls run on threads of the pool, and whoever asked stops waiting
//! at a deadline. The thread is then *abandoned*: it stays blocked until libvirt answers, another thread
//! takes its place, and nothing more is asked about the same subject until it is back.
//!
//! While a call is out it may hold one of the daemon's workers, and those are what everybody else on the host needs too.
//! So there are places, for running and abandoned calls together: `maximum_abandoned` for all of them, one more for those
//! that need no guest, and one for the list of domains. Once a call without a guest is abandoned, the one more is for the
//! host's calls, unless the abandoned one holds it. About one guest one call at most is out.
//!
//! The daemon serves five requests of one connection at a time (`max_client_requests`) and does not even read keepalive
//! messages beyond; so of one connection (a *lane*) at most four calls are out. The fifth place is for calls that need
//! nothing, and they take it only while an abandoned call holds another: the daemon's log warns of a client that is at
//! its limit.
//!
//! When a connection is lost its calls return, but the daemon's workers stay where they are. A guest whose call was lost
//! so is *orphaned*: it keeps its place until it answers in full or has gone. It may be asked, for that takes no other
//! place: with NOWAIT libvirt leaves out what a worker is still at.

use std::collections::{HashSet, VecDeque};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::answers::Verdict;
use crate::call_log::CallLog;
use crate::call_times::CallTimes;
use crate::connection::Run;
use crate::reading::Reading;
use crate::threads::{self, lock};

/// What a task asks about. While a call about a subject is out that was given up, nothing that may hang likewise is asked
/// about it: a hung monitor keeps only what needs the monitor from being asked, and any other call everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// One run of one domain.
    Domain(Run),
    /// The list of domains, on the connection with this serial number.
    List(u64),
    /// Several domains at once, likewise.
    Several(u64),
    /// The daemon itself, likewise.
    Daemon(u64),
    /// Something of the host, by the bit that asks for it, whichever connection it is asked on.
    Host(u32),
}

/// What has to answer. It says which place a call takes; the order is the one in which tasks are begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Every domain's lock, one after the other: the list of domains. Whoever asks sees to it that few are out.
    List,
    /// Nothing but the daemon.
    Nothing,
    /// Something of the host besides its guests. One at a time, besides those that are abandoned.
    Host,
    /// A virtual switch of the host. One at a time.
    Switch,
    /// The guest's monitor (QMP).
    Monitor,
    /// The job of a guest that is arriving by migration. One at a time.
    Arrival,
}

impl Need {
    const ALL: [Self; 6] =
        [Self::List, Self::Nothing, Self::Host, Self::Switch, Self::Monitor, Self::Arrival];

    fn is_guest(self) -> bool {
        matches!(self, Self::Monitor | Self::Arrival)
    }

    /// Whether it has a thread besides the `concurrency` ones, of which it takes one at a time.
    fn has_own_thread(self) -> bool {
        matches!(self, Self::List | Self::Host | Self::Switch)
    }
}

/// How long the oldest task may run before `on_quiet` is called; each time it is called for it that doubles.
const QUIET: Duration = Duration::from_millis(20);

/// How many calls of one connection may be out, but for those that need nothing while one is abandoned.
const LANE_LIMIT: usize = 4;

/// What a task asks, and under which bounds.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// What it asks about.
    pub subject: Subject,
    /// The connection it uses, by serial number.
    pub lane: u64,
    /// What has to answer.
    pub need: Need,
    /// How long it may run.
    pub limit: Duration,
}

/// Makes calls, which it notes in the log.
type Work = Box<dyn FnOnce(&CallLog) -> Reading + Send>;

/// One piece of work.
pub struct Task {
    /// What it asks.
    pub request: Request,
    /// The work; it runs on a thread of the pool.
    pub work: Work,
}

/// How long to wait for all tasks.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// When no further task begins.
    pub last_start: Instant,
    /// When those that run are given up.
    pub end: Instant,
}

/// What is out at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abandoned {
    /// Guests whose call is abandoned or lost: each may hold a worker of the daemon.
    pub guests: usize,
    /// Other abandoned calls.
    pub others: usize,
    /// Subjects that are not asked because of them.
    pub subjects: usize,
}

/// The threads. Dropping it lets idle threads end; abandoned ones end when libvirt answers them.
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
    progress: Condvar,
    concurrency: usize,
    maximum_abandoned: usize,
}

#[derive(Default)]
struct State {
    /// By need.
    queues: [VecDeque<Ticket>; Need::ALL.len()],
    /// What is out, abandoned or not.
    running: Vec<Running>,
    orphans: HashSet<Subject>,
    /// The number of the first of the tasks that are waited for.
    first: usize,
    /// What these have found, once they have ended.
    readings: Vec<Reading>,
    pending: usize,
    last_start: Option<Instant>,
    workers: usize,
    closed: bool,
}

struct Ticket {
    number: usize,
    task: Task,
    log: Arc<CallLog>,
}

struct Running {
    number: usize,
    request: Request,
    log: Arc<CallLog>,
    since: Instant,
    abandoned: bool,
}

impl Running {
    fn is_guest(&self) -> bool {
        self.request.need.is_guest()
    }

    fn due(&self) -> Instant {
        self.since + self.request.limit
    }
}

impl Pool {
    /// A pool of `concurrency` threads, and of some for calls that have their own, which start when there is work.
    pub fn new(concurrency: usize, maximum_abandoned: usize) -> Self {
        let shared = Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            progress: Condvar::new(),
            concurrency: concurrency.max(1),
            maximum_abandoned: maximum_abandoned.max(1),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Runs the tasks and returns what each has found, in the same order; a verdict says which were late, with what they had
    /// found by then, and which were not asked. It returns when all have ended or the limits are reached, whatever the tasks do.
    ///
    /// They begin in the order of `Need`, so that a hung guest costs no value that needs no monitor.
    /// `on_quiet` is called now and then while a task takes long; it must not block. What the calls took is added to `times`.
    pub fn run(
        &self,
        tasks: Vec<Task>,
        limits: Limits,
        times: &mut CallTimes,
        on_quiet: &mut dyn FnMut(),
    ) -> Vec<Reading> {
        let mut logs = Vec::with_capacity(tasks.len());
        let mut state = lock(&self.shared.state);
        state.readings.resize_with(tasks.len(), Reading::default);
        state.pending = tasks.len();
        state.last_start = Some(limits.last_start);
        for (number, task) in (state.first..).zip(tasks) {
            let (request, log) = (task.request, Arc::<CallLog>::default());
            logs.push((Arc::clone(&log), request.limit));
            if state.is_quarantined(request) {
                state.settle(number, Reading::of(Verdict::Quarantined));
            } else {
                state.queues[request.need as usize].push_back(Ticket { number, task, log });
            }
        }
        let mut state = self.wait(state, limits, on_quiet);
        state.first += logs.len();
        let readings = mem::take(&mut state.readings);
        drop(state);
        for (log, limit) in logs {
            times.count(log.close(limit, limits.end));
        }
        readings
    }

    /// What is out at the moment.
    pub fn abandoned(&self) -> Abandoned {
        let state = lock(&self.shared.state);
        let given_up = || state.running.iter().filter(|one| one.abandoned);
        Abandoned {
            guests: state.guests(|one| one.abandoned),
            others: given_up().filter(|one| !one.is_guest()).count(),
            subjects: given_up().map(|one| one.request.subject).collect::<HashSet<_>>().len(),
        }
    }

    /// Whether calls are abandoned on a connection: about a guest, or for this long.
    pub fn is_troubled(&self, lane: u64, age: Duration) -> bool {
        let state = lock(&self.shared.state);
        let mut abandoned = state.out(lane).filter(|one| one.abandoned);
        abandoned.any(|one| one.is_guest() || one.since.elapsed() >= age)
    }

    /// Whether abandoned calls leave a connection no place for a guest's.
    pub fn is_full(&self, lane: u64) -> bool {
        lock(&self.shared.state).out(lane).filter(|one| one.abandoned).count() >= LANE_LIMIT
    }

    /// Since when lists of domains are out, and on which connections.
    pub fn lists(&self) -> Vec<(u64, Instant)> {
        let state = lock(&self.shared.state);
        let lists = state.running.iter().filter(|one| one.request.need == Need::List);
        lists.map(|one| (one.request.lane, one.since)).collect()
    }

    /// Says that what hangs on a connection hangs with it: whom a call is about may be asked on another. A guest's call may
    /// hang with the guest all the same.
    pub fn blame_connection(&self, lane: u64) {
        for running in &mut lock(&self.shared.state).running {
            if running.request.lane == lane && running.abandoned && !running.is_guest() {
                running.request.subject = Subject::Daemon(lane);
            }
        }
    }

    /// Takes the orphans off the books that are not there any more.
    pub fn keep_orphans(&self, is_present: impl Fn(Subject) -> bool) {
        lock(&self.shared.state).orphans.retain(|&subject| is_present(subject));
    }

    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        limits: Limits,
        on_quiet: &mut dyn FnMut(),
    ) -> MutexGuard<'a, State> {
        let (mut quiet, mut oldest) = (QUIET, None);
        loop {
            let now = Instant::now();
            state.abandon_overdue(now, limits.end);
            state.withhold(now >= limits.last_start, &self.shared);
            if state.pending == 0 {
                return state;
            }
            self.staff(&mut state);
            // Whoever is woken up for nothing costs as much as half a call.
            for _ in 0..state.queued().min(state.workers) {
                self.shared.work.notify_one();
            }
            let waited_for = || state.running.iter().filter(|one| !one.abandoned);
            let before = mem::replace(&mut oldest, waited_for().map(|one| one.since).min());
            if oldest != before {
                quiet = QUIET;
            }
            if oldest.is_some_and(|since| now.duration_since(since) >= quiet) {
                on_quiet();
                quiet *= 2;
            }
            let due = waited_for().map(Running::due).min().unwrap_or(limits.end);
            // A task that has not started yet is looked at soon.
            let until = due.min(limits.end).min(now + QUIET);
            state = threads::wait(&self.shared.progress, state, until);
        }
    }

    /// Starts the threads that are missing and have something to do.
    fn staff(&self, state: &mut State) {
        let own = Need::ALL.into_iter().filter(|&need| {
            let is_running =
                state.running.iter().any(|one| one.request.need == need && !one.abandoned);
            need.has_own_thread() && (is_running || !state.queues[need as usize].is_empty())
        });
        let wanted = (self.shared.concurrency + own.count()).min(state.pending);
        while state.workers < wanted {
            let shared = Arc::clone(&self.shared);
            if threads::start("libvirt-call", move || shared.serve()).is_err() {
                // No more threads on this host now: the present ones carry on, or the deadline ends it.
                return;
            }
            state.workers += 1;
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        lock(&self.shared.state).closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    /// A worker's life: it ends when the pool is closed or its place was taken while it was stuck.
    fn serve(&self) {
        let mut state = lock(&self.state);
        loop {
            if state.closed {
                return;
            }
            let Some(ticket) = state.take(self) else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let Ticket { number, task: Task { request, work }, log } = ticket;
            if request.need.has_own_thread() && state.queued() > 0 {
                // The place among the others that this worker had is free for one that waits.
                self.work.notify_one();
            }
            drop(state);
            // A panic is a defect, but it must not take the thread's place in the books with it.
            let reading = catch_unwind(AssertUnwindSafe(|| work(&log)));
            let reading = reading.unwrap_or_else(|_| Reading::of(Verdict::Late));
            state = lock(&self.state);
            let was_abandoned = state.finish(number, reading);
            if state.pending == 0 || was_abandoned {
                self.progress.notify_all();
            }
            if was_abandoned {
                self.work.notify_all();
                return;
            }
        }
    }
}

impl State {
    fn is_quarantined(&self, Request { subject, need, .. }: Request) -> bool {
        let mut given_up = self.running.iter().filter(|one| one.abandoned);
        given_up.any(|one| one.request.subject == subject && (need.is_guest() || !one.is_guest()))
    }

    fn queued(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum()
    }

    fn settle(&mut self, number: usize, reading: Reading) {
        self.readings[number - self.first] = reading;
        self.pending -= 1;
    }

    /// The next task that may begin.
    fn take(&mut self, bounds: &Shared) -> Option<Ticket> {
        if self.last_start.is_none_or(|last| Instant::now() >= last) {
            return None;
        }
        let may_begin = |need: &Need| {
            let first = self.queues[*need as usize].front();
            first.is_some_and(|ticket| self.has_place(ticket.task.request, bounds, |_| true))
        };
        let need = Need::ALL.into_iter().find(may_begin)?;
        let ticket = self.queues[need as usize].pop_front()?;
        let (number, request, log) = (ticket.number, ticket.task.request, Arc::clone(&ticket.log));
        let since = Instant::now();
        self.running.push(Running { number, request, log, since, abandoned: false });
        Some(ticket)
    }

    /// Whether a task may begin beside those that are out and count.
    fn has_place(
        &self,
        Request { subject, lane, need, .. }: Request,
        bounds: &Shared,
        counts: impl Fn(&Running) -> bool,
    ) -> bool {
        let counting = || self.running.iter().filter(|one| counts(one));
        let mut alike = counting().filter(|one| one.request.need == need);
        let on_lane = || counting().filter(|one| one.request.lane == lane);
        let others = || counting().filter(|one| !one.is_guest() && one.request.need != Need::List);
        let at_work = counting().filter(|one| !one.abandoned && !one.request.need.has_own_thread());
        let is_given_up = |one: &Running| one.abandoned;
        let is_alone = match need {
            Need::Host => alike.all(is_given_up),
            Need::Switch | Need::Arrival => alike.next().is_none(),
            _ => true,
        };
        let has_thread = need.has_own_thread() || at_work.count() < bounds.concurrency;
        let has_room =
            on_lane().count() < LANE_LIMIT || !need.is_guest() && on_lane().any(is_given_up);
        let guests = self.guests(&counts);
        let (held, maximum) = (guests + others().count(), bounds.maximum_abandoned);
        // When calls without a guest hang, the one place more is the host's.
        let is_roomy = held < maximum || held == maximum && !others().any(is_given_up);
        let is_within_bounds = match need {
            Need::List => true,
            Need::Monitor | Need::Arrival => {
                self.orphans.contains(&subject) || guests < maximum && is_roomy
            }
            Need::Nothing => is_roomy,
            Need::Host | Need::Switch => held <= maximum,
        };
        is_alone && has_thread && has_room && is_within_bounds
    }

    /// How many guests hold places, of those whose call counts.
    fn guests(&self, counts: impl Fn(&Running) -> bool) -> usize {
        let running = || self.running.iter().filter(|one| one.is_guest() && counts(one));
        let is_running = |orphan| running().any(|one| one.request.subject == orphan);
        running().count() + self.orphans.iter().filter(|&&orphan| !is_running(orphan)).count()
    }

    /// What is out on a connection.
    fn out(&self, lane: u64) -> impl Iterator<Item = &Running> {
        self.running.iter().filter(move |one| one.request.lane == lane)
    }

    /// Books a call that has returned; true when it had been abandoned.
    fn finish(&mut self, number: usize, reading: Reading) -> bool {
        let position = self.running.iter().position(|one| one.number == number);
        let running = self.running.swap_remove(position.expect("what runs is on the list"));
        if running.is_guest() && reading.is_lost {
            self.orphans.insert(running.request.subject);
        } else if running.is_guest() && reading.is_whole() {
            self.orphans.remove(&running.request.subject);
        }
        if !running.abandoned {
            self.settle(number, reading);
        }
        running.abandoned
    }

    fn abandon_overdue(&mut self, now: Instant, end: Instant) {
        for position in 0..self.running.len() {
            let running = &mut self.running[position];
            if !running.abandoned && now >= running.due().min(end) {
                running.abandoned = true;
                let (number, mut reading) = (running.number, running.log.take_reading());
                reading.judge(Verdict::Late);
                self.workers -= 1;
                self.settle(number, reading);
            }
        }
    }

    /// Drops the queued tasks for which there is no time, or which abandoned calls leave no place.
    fn withhold(&mut self, is_over: bool, bounds: &Shared) {
        for need in Need::ALL {
            let queue = mem::take(&mut self.queues[need as usize]);
            let is_stuck = |ticket: &Ticket| {
                is_over || !self.has_place(ticket.task.request, bounds, |one| one.abandoned)
            };
            // Whoever is first speaks for all, but for orphans, which have their places already.
            let (stuck, rest) = if queue.front().is_some_and(is_stuck) {
                queue.into_iter().partition(is_stuck)
            } else {
                (VecDeque::new(), queue)
            };
            for ticket in stuck {
                self.settle(ticket.number, Reading::of(Verdict::Withheld));
            }
            self.queues[need as usize] = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread;

    use crate::row::Row;

    fn domain(number: u8) -> Subject {
        Subject::Domain(Run { uuid: [number; 16], id: i32::from(number) })
    }

    /// How a task ended, with the number that it gave.
    #[derive(Debug, PartialEq)]
    enum Outcome {
        Done(u32),
        Late,
        Quarantined,
        Withheld,
    }

    impl Outcome {
        fn of(reading: &Reading) -> Self {
            match reading.verdict {
                Verdict::Late => Self::Late,
                Verdict::Quarantined => Self::Quarantined,
                Verdict::Withheld => Self::Withheld,
                _ => Self::Done(reading.row.numbers[0].0),
            }
        }
    }

    fn given(number: u32) -> Reading {
        let row = Row { numbers: vec![(number, 0.0)], texts: Vec::new() };
        Reading { row, ..Reading::default() }
    }

    fn task(subject: Subject, need: Need, work: impl FnOnce() -> u32 + Send + 'static) -> Task {
        let request = Request { subject, lane: 1, need, limit: Duration::ZERO };
        Task { request, work: Box::new(move |_| given(work())) }
    }

    fn quick(subject: Subject, need: Need, value: u32) -> Task {
        task(subject, need, move || value)
    }

    /// A task that hangs until the returned sender is dropped.
    fn hanging(subject: Subject, need: Need) -> (Task, Sender<()>) {
        let (release, blocked): (Sender<()>, Receiver<()>) = channel();
        let hang = move || {
            let _ = blocked.recv();
            0
        };
        (task(subject, need, hang), release)
    }

    /// Makes tasks that take a moment, and counts how many of them run at the same time.
    #[derive(Default)]
    struct Crowd {
        now: Arc<AtomicUsize>,
        most: Arc<AtomicUsize>,
    }

    impl Crowd {
        fn task(&self, subject: Subject, need: Need) -> Task {
            let (now, most) = (Arc::clone(&self.now), Arc::clone(&self.most));
            task(subject, need, move || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(1));
                now.fetch_sub(1, Ordering::SeqCst);
                0
            })
        }

        fn most(&self) -> usize {
            self.most.load(Ordering::SeqCst)
        }
    }

    /// For one task and for all of them, in milliseconds.
    fn limits(task: u64, all: u64) -> (Duration, Limits) {
        let end = Instant::now() + Duration::from_millis(all);
        (Duration::from_millis(task), Limits { last_start: end, end })
    }

    fn run(pool: &Pool, mut tasks: Vec<Task>, (limit, limits): (Duration, Limits)) -> Vec<Outcome> {
        for task in &mut tasks {
            task.request.limit = limit;
        }
        let readings = pool.run(tasks, limits, &mut CallTimes::default(), &mut || {});
        readings.iter().map(Outcome::of).collect()
    }

    fn settle(pool: &Pool) {
        let patience = Instant::now() + Duration::from_secs(10);
        while pool.abandoned() != Abandoned::default() {
            assert!(Instant::now() < patience, "abandoned calls were not taken off the books");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn results_come_in_the_order_of_the_tasks() {
        let pool = Pool::new(4, 5);
        let tasks = (0..200).map(|value| quick(domain(1), Need::Monitor, value)).collect();
        let outcomes = run(&pool, tasks, limits(10_000, 10_000));
        assert_eq!(outcomes, (0..200).map(Outcome::Done).collect::<Vec<_>>());
    }

    #[test]
    fn one_hung_subject_loses_only_itself_and_is_quarantined_until_it_is_back() {
        let pool = Pool::new(2, 5);
        let (hung, release) = hanging(domain(1), Need::Monitor);
        let tasks =
            vec![hung, quick(domain(2), Need::Monitor, 2), quick(domain(3), Need::Nothing, 3)];
        let outcomes = run(&pool, tasks, limits(30, 5_000));
        assert_eq!(outcomes, [Outcome::Late, Outcome::Done(2), Outcome::Done(3)]);
        assert_eq!(pool.abandoned(), Abandoned { guests: 1, others: 0, subjects: 1 });

        let again = vec![quick(domain(1), Need::Monitor, 1), quick(domain(1), Need::Nothing, 4)];
        let outcomes = run(&pool, again, limits(5_000, 5_000));
        assert_eq!(outcomes, [Outcome::Quarantined, Outcome::Done(4)]);

        drop(release);
        settle(&pool);
        let outcomes = run(&pool, vec![quick(domain(1), Need::Monitor, 1)], limits(5_000, 5_000));
        assert_eq!(outcomes, [Outcome::Done(1)]);
    }

    #[test]
    fn a_task_that_hangs_keeps_what_it_has_found() {
        let pool = Pool::new(1, 5);
        let (release, blocked): (Sender<()>, Receiver<()>) = channel();
        let work = move |log: &CallLog| {
            log.reading().row.numbers.push((7, 0.5));
            log.reading().judge(Verdict::Failed);
            let _ = blocked.recv();
            log.reading().row.numbers.push((8, 0.5));
            log.take_reading()
        };
        let (limit, limits) = limits(30, 5_000);
        let request = Request { subject: domain(1), lane: 1, need: Need::Monitor, limit };
        let tasks = vec![Task { request, work: Box::new(work) }];
        let readings = pool.run(tasks, limits, &mut CallTimes::default(), &mut || {});
        drop(release);
        assert_eq!(readings[0].verdict, Verdict::Late);
        assert_eq!(readings[0].row.numbers, [(7, 0.5)]);
        settle(&pool);
    }

    #[test]
    fn at_the_bound_nothing_guarded_is_asked_and_free_tasks_go_on() {
        let pool = Pool::new(4, 5);
        let mut releases = Vec::new();
        for lane in [1, 2] {
            let (mut tasks, senders): (Vec<_>, Vec<_>) =
                (0..30).map(|number| hanging(domain(number), Need::Monitor)).unzip();
            releases.extend(senders);
            for task in &mut tasks {
                task.request.lane = lane;
            }
            let outcomes = run(&pool, tasks, limits(30, 5_000));
            let late = outcomes.iter().filter(|outcome| **outcome == Outcome::Late).count();
            assert_eq!(late, if lane == 1 { LANE_LIMIT } else { 5 - LANE_LIMIT });
        }
        assert_eq!(pool.abandoned(), Abandoned { guests: 5, others: 0, subjects: 5 });

        let again = vec![quick(domain(99), Need::Monitor, 1), quick(domain(1), Need::Nothing, 2)];
        let outcomes = run(&pool, again, limits(5_000, 5_000));
        assert_eq!(outcomes, [Outcome::Withheld, Outcome::Done(2)]);
        drop(releases);
        settle(&pool);
        let outcomes = run(&pool, vec![quick(domain(99), Need::Monitor, 1)], limits(5_000, 5_000));
        assert_eq!(outcomes, [Outcome::Done(1)]);
    }

    #[test]
    fn a_connection_is_left_room_for_what_needs_no_monitor() {
        let pool = Pool::new(8, 20);
        let (tasks, releases): (Vec<_>, Vec<_>) =
            (0..10).map(|number| hanging(domain(number), Need::Monitor)).unzip();
        let outcomes = run(&pool, tasks, limits(30, 5_000));
        let late = outcomes.iter().filter(|outcome| **outcome == Outcome::Late).count();
        assert_eq!(late, LANE_LIMIT);
        assert_eq!(outcomes.last(), Some(&Outcome::Withheld));
        drop(releases);
        settle(&pool);
    }

    #[test]
    fn a_guest_whose_call_was_lost_keeps_its_place_until_it_answers_in_full_or_has_gone() {
        let pool = Pool::new(2, 2);
        let asked = |number, is_lost, is_whole| {
            let verdict = if is_whole { Verdict::Complete } else { Verdict::Busy };
            let reading = Reading { verdict, is_lost, ..given(7) };
            let work = Box::new(move |_: &CallLog| reading);
            Task { work, ..quick(domain(number), Need::Monitor, 0) }
        };
        run(&pool, vec![asked(1, true, false), asked(2, true, false)], limits(5_000, 5_000));
        assert_eq!(pool.abandoned(), Abandoned { guests: 2, others: 0, subjects: 0 });
        // It may be asked itself, for that takes no other place.
        let again = |is_whole| vec![asked(1, false, is_whole), asked(3, false, true)];
        for _ in 0..2 {
            let outcomes = run(&pool, again(false), limits(5_000, 5_000));
            assert_eq!(outcomes, [Outcome::Done(7), Outcome::Withheld]);
        }
        run(&pool, again(true), limits(5_000, 5_000));
        let outcomes = run(&pool, again(true), limits(5_000, 5_000));
        assert_eq!(outcomes, [7, 7].map(Outcome::Done));
        pool.keep_orphans(|subject| subject == domain(2));
        assert_eq!(pool.abandoned().guests, 1);
        pool.keep_orphans(|_| false);
        assert_eq!(pool.abandoned(), Abandoned::default());
    }

    #[test]
    fn running_and_abandoned_calls_hold_no_more_places_than_there_are() {
        let pool = Pool::new(20, 5);
        let mut releases = Vec::new();
        let needs = [Need::Monitor, Need::Nothing, Need::Host, Need::List, Need::Arrival];
        for number in 0..40 {
            let need = needs[usize::from(number) % needs.len()];
            // The caller sees to it that there are few lists.
            if need == Need::List && pool.lists().len() == 1 {
                continue;
            }
            let (mut task, release) = hanging(domain(number), need);
            task.request.lane = u64::from(number);
            releases.push(release);
            run(&pool, vec![task], limits(5, 5_000));
        }
        let Abandoned { guests, others, .. } = pool.abandoned();
        // One place is for other calls and one for the list.
        assert_eq!(guests + others, 5 + 2);
        assert!(others >= 2, "{others}");
        drop(releases);
        settle(&pool);
    }

    #[test]
    fn at_most_one_guest_that_arrives_and_one_switch_are_asked_at_a_time() {
        for need in [Need::Arrival, Need::Switch] {
            let pool = Pool::new(8, 20);
            let crowd = Crowd::default();
            let tasks = (0..20).map(|number| crowd.task(domain(number), need)).collect();
            run(&pool, tasks, limits(5_000, 5_000));
            assert_eq!(crowd.most(), 1);
            let (hung, release) = hanging(domain(1), need);
            let tasks = vec![hung, quick(domain(2), need, 2)];
            assert_eq!(run(&pool, tasks, limits(5, 5_000)), [Outcome::Late, Outcome::Withheld]);
            let tasks = vec![quick(domain(2), need, 2), quick(domain(3), Need::Monitor, 3)];
            let outcomes = run(&pool, tasks, limits(5_000, 5_000));
            assert_eq!(outcomes, [Outcome::Withheld, Outcome::Done(3)]);
            drop(release);
            settle(&pool);
        }
    }

    #[test]
    fn nothing_begins_when_little_time_is_left_and_what_runs_goes_on() {
        let pool = Pool::new(1, 5);
        let (hung, release) = hanging(domain(1), Need::Monitor);
        let now = Instant::now();
        let after = |milliseconds| now + Duration::from_millis(milliseconds);
        let limits = Limits { last_start: after(20), end: after(5_000) };
        let end = thread::spawn(move || {
            thread::sleep(Duration::from_millis(60));
            drop(release);
        });
        let tasks = vec![hung, quick(domain(2), Need::Monitor, 2)];
        let outcomes = run(&pool, tasks, (Duration::from_secs(5), limits));
        assert_eq!(outcomes, [Outcome::Done(0), Outcome::Withheld]);
        end.join().unwrap();
    }

    #[test]
    fn running_and_abandoned_guarded_calls_together_never_exceed_the_bound() {
        let pool = Pool::new(4, 3);
        let (hung, release) = hanging(domain(0), Need::Monitor);
        run(&pool, vec![hung], limits(10, 5_000));
        let crowd = Crowd::default();
        let tasks = (1..40).map(|number| crowd.task(domain(number), Need::Monitor)).collect();
        run(&pool, tasks, limits(5_000, 5_000));
        assert!(crowd.most() <= 2, "one of three places was taken by the abandoned call");
        drop(release);
    }

    #[test]
    fn a_hung_call_about_the_host_costs_only_what_hangs_with_it() {
        let pool = Pool::new(1, 2);
        let host = Subject::Host(4);
        let (hung, release) = hanging(host, Need::Host);
        let networks = || quick(Subject::Host(2), Need::Host, 1);
        let volumes = || quick(Subject::Host(8), Need::Host, 2);
        let guests =
            || vec![quick(domain(1), Need::Nothing, 3), quick(domain(2), Need::Monitor, 4)];
        let mut tasks = guests();
        tasks.extend([networks(), hung, volumes()]);
        let outcomes = run(&pool, tasks, limits(300, 5_000));
        let done = [3, 4, 1].map(Outcome::Done);
        assert_eq!(outcomes[..3], done);
        assert_eq!(outcomes[3..], [Outcome::Late, Outcome::Done(2)]);
        assert_eq!(pool.abandoned(), Abandoned { guests: 0, others: 1, subjects: 1 });

        let mut tasks = guests();
        tasks.extend([networks(), quick(host, Need::Host, 5), volumes()]);
        let outcomes = run(&pool, tasks, limits(5_000, 5_000));
        assert_eq!(outcomes[..3], done);
        assert_eq!(outcomes[3..], [Outcome::Quarantined, Outcome::Done(2)]);
        drop(release);
        settle(&pool);
    }

    #[test]
    fn a_call_about_the_host_takes_one_of_the_places_of_its_connection() {
        let pool = Pool::new(8, 20);
        let (mut tasks, mut releases): (Vec<_>, Vec<_>) =
            (0..10).map(|number| hanging(domain(number), Need::Monitor)).unzip();
        let (host, release) = hanging(Subject::Host(1), Need::Host);
        tasks.push(host);
        releases.push(release);
        let outcomes = run(&pool, tasks, limits(30, 5_000));
        let late = outcomes.iter().filter(|outcome| **outcome == Outcome::Late).count();
        assert_eq!(late, LANE_LIMIT);
        assert_eq!(outcomes.last(), Some(&Outcome::Late));
        drop(releases);
        settle(&pool);
    }

    #[test]
    fn no_more_than_four_calls_of_a_connection_are_out_while_none_hangs() {
        let pool = Pool::new(8, 20);
        let crowd = Crowd::default();
        let needs = [Need::Nothing, Need::Monitor, Need::Host];
        let tasks = (0..60)
            .map(|number| crowd.task(domain(number), needs[usize::from(number) % needs.len()]))
            .collect();
        let outcomes = run(&pool, tasks, limits(5_000, 5_000));
        assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Done(0)));
        assert_eq!(crowd.most(), LANE_LIMIT);
    }

    #[test]
    fn what_needs_nothing_is_asked_while_all_places_of_its_connection_hang() {
        let pool = Pool::new(4, 20);
        let (tasks, releases): (Vec<_>, Vec<_>) =
            (0..4).map(|number| hanging(domain(number), Need::Monitor)).unzip();
        run(&pool, tasks, limits(30, 5_000));
        let free = (0..3).map(|number| quick(domain(number), Need::Nothing, 1)).collect();
        assert_eq!(run(&pool, free, limits(5_000, 5_000)), [1, 1, 1].map(Outcome::Done));
        drop(releases);
        settle(&pool);
    }

    #[test]
    fn the_host_is_asked_while_every_call_about_a_domain_hangs() {
        let pool = Pool::new(4, 5);
        let mut releases = Vec::new();
        let host = || quick(Subject::Host(1), Need::Host, 7);
        for needs in [[Need::Nothing; 2], [Need::Nothing, Need::Monitor]] {
            for _ in 0..3 {
                let (mut tasks, senders): (Vec<_>, Vec<_>) = (0..12)
                    .map(|number| hanging(domain(number), needs[usize::from(number % 2)]))
                    .unzip();
                releases.extend(senders);
                tasks.push(host());
                let outcomes = run(&pool, tasks, limits(20, 5_000));
                assert_eq!(outcomes.last(), Some(&Outcome::Done(7)));
            }
            let Abandoned { guests, others, .. } = pool.abandoned();
            assert_eq!(guests + others, 5);
            releases.clear();
            settle(&pool);
        }
    }

    #[test]
    fn the_deadline_of_all_ends_the_wait_whatever_the_tasks_do() {
        let pool = Pool::new(1, 5);
        let (hung, release) = hanging(Subject::Daemon(1), Need::Nothing);
        let outcomes =
            run(&pool, vec![hung, quick(domain(1), Need::Nothing, 1)], limits(60_000, 30));
        assert_eq!(outcomes, [Outcome::Late, Outcome::Withheld]);
        drop(release);
    }

    #[test]
    fn what_hangs_with_its_connection_is_asked_on_another_but_for_a_guest() {
        let pool = Pool::new(4, 5);
        let (calls, releases): (Vec<_>, Vec<_>) = [Need::Nothing, Need::Monitor]
            .map(|need| hanging(domain(need as u8), need))
            .into_iter()
            .unzip();
        run(&pool, calls, limits(20, 5_000));
        let again = || {
            let needs = [Need::Nothing, Need::Monitor];
            let mut tasks: Vec<_> =
                needs.map(|need| quick(domain(need as u8), need, 1)).into_iter().collect();
            for task in &mut tasks {
                task.request.lane = 2;
            }
            tasks
        };
        let outcomes = run(&pool, again(), limits(5_000, 5_000));
        assert_eq!(outcomes, [Outcome::Quarantined, Outcome::Quarantined]);
        pool.blame_connection(1);
        let outcomes = run(&pool, again(), limits(5_000, 5_000));
        assert_eq!(outcomes, [Outcome::Done(1), Outcome::Quarantined]);
        drop(releases);
        settle(&pool);
    }

    #[test]
    fn a_task_that_panics_loses_only_its_own_result() {
        let pool = Pool::new(1, 5);
        let panicking = task(domain(1), Need::Monitor, || panic!("on purpose"));
        let outcomes =
            run(&pool, vec![panicking, quick(domain(2), Need::Monitor, 2)], limits(5_000, 5_000));
        assert_eq!(outcomes, [Outcome::Late, Outcome::Done(2)]);
        assert_eq!(pool.abandoned(), Abandoned::default());
    }

    #[test]
    fn whoever_asks_hears_now_and_then_that_a_task_takes_long() {
        let pool = Pool::new(2, 5);
        let (hung, release) = hanging(domain(1), Need::Monitor);
        let asked = |task: Task| {
            let mut quiet = 0;
            let request = Request { limit: Duration::from_millis(300), ..task.request };
            let tasks = vec![Task { request, ..task }];
            pool.run(tasks, limits(0, 5_000).1, &mut CallTimes::default(), &mut || quiet += 1);
            quiet
        };
        let quiet = asked(hung);
        assert!((1..=5).contains(&quiet), "{quiet} times");
        drop(release);
        assert_eq!(asked(quick(domain(2), Need::Monitor, 2)), 0);
    }
}
