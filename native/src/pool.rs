//! Worker threads for calls that may never return.
//!
//! A libvirt call cannot be cancelled. So calls run on threads of the pool, and whoever asked stops waiting
//! at a deadline. The thread is then *abandoned*: it stays blocked until libvirt answers, another thread
//! takes its place, and nothing more is asked about the same subject until it is back.
//!
//! A call that needs a guest's monitor holds one of the daemon's workers while it is out, and those are
//! what everybody else on the host needs too. Such calls are *guarded*: abandoned and running ones together
//! never exceed `maximum_abandoned`, and once that many are abandoned no further one is made. The daemon serves
//! five requests of one connection at a time (`max_client_requests`) and does not even read keepalive messages
//! beyond; so of one connection (a *lane*) at most four guarded calls are out. The fifth place is for calls that need
//! nothing, and they take it only while an abandoned call holds another: the daemon's log warns of a client that is at
//! its limit.
//!
//! Calls about the host need no guest, but they may hang for reasons of their own: a storage pool with its file server.
//! Of one connection one of them is out at a time, on a thread besides the others', and it takes one of the four
//! places; when it hangs, the others wait for another connection. So it costs nothing but itself.
//!
//! When a connection is lost its calls return, but the daemon's workers stay where they are. Such a call is
//! *orphaned*: it counts as abandoned until the caller has found out that the guest answers again.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::host::HostCall;

/// What a task asks about. While a call about a subject is out that was given up, nothing that may hang likewise is asked
/// about it: a hung monitor keeps only what needs the monitor from being asked, and any other call everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// One run of one domain: its UUID and its id on this host.
    Domain([u8; 16], i32),
    /// A connection as a whole, by its serial number.
    Connection(u64),
    /// Something of the host, whichever connection it is asked on.
    Host(HostCall),
}

/// Whether a call can hold one of the daemon's workers for as long as a guest hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The daemon answers by itself.
    Nothing,
    /// The guest's monitor (QMP) has to answer.
    Monitor,
    /// Something of the host besides its guests has to answer.
    Host,
}

/// How long a task may run before `on_quiet` is called; each time it is called that doubles.
const QUIET: Duration = Duration::from_millis(20);

/// How many calls of one connection may be out, but for those that need nothing while one is abandoned.
const LANE_LIMIT: usize = 4;

/// What a piece of work gave.
pub struct Answer<T> {
    /// The result.
    pub value: T,
    /// Whether the connection was lost meanwhile, so that the daemon may still be at it.
    pub is_lost: bool,
}

/// One piece of work.
pub struct Task<T> {
    /// What it asks about.
    pub subject: Subject,
    /// The connection it uses, by serial number.
    pub lane: u64,
    /// What it needs.
    pub need: Need,
    /// The work; it runs on a thread of the pool.
    pub work: Box<dyn FnOnce() -> Answer<T> + Send>,
}

/// How a task ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It returned in time.
    Done(T),
    /// It was asked, did not return in time and is abandoned.
    Late,
    /// It was not asked: an earlier call about the same subject is still out.
    Quarantined,
    /// It was not asked: the bound of abandoned calls or the deadline was reached first.
    Withheld,
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For one task, from the moment it starts.
    pub task: Duration,
    /// For all of them.
    pub all: Instant,
}

/// What is out at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abandoned {
    /// Abandoned calls that hold a worker of the daemon.
    pub guarded: usize,
    /// Other abandoned calls.
    pub free: usize,
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
    free: VecDeque<Ticket>,
    host: VecDeque<Ticket>,
    guarded: VecDeque<Ticket>,
    running: Vec<Running>,
    verdicts: Vec<Verdict>,
    pending: usize,
    guarded_running: usize,
    abandoned_guarded: usize,
    abandoned_free: usize,
    abandoned_host: usize,
    out: HashMap<Subject, Out>,
    workers: usize,
    next_ticket: u64,
    closed: bool,
}

#[derive(Default)]
struct Out {
    guarded: usize,
    free: usize,
    orphaned: usize,
}

impl Out {
    fn is_empty(&self) -> bool {
        self.guarded + self.free + self.orphaned == 0
    }
}

struct Ticket {
    number: u64,
    index: usize,
    subject: Subject,
    lane: u64,
    need: Need,
    /// Returns whether the connection was lost.
    run: Box<dyn FnOnce() -> bool + Send>,
}

struct Running {
    ticket: u64,
    index: usize,
    subject: Subject,
    lane: u64,
    need: Need,
    since: Instant,
    abandoned: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Pending,
    Returned,
    Late,
    Quarantined,
    Withheld,
}

impl Pool {
    /// A pool of `concurrency` threads, and one for the host, which start when there is work.
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

    /// Runs the tasks and returns how each ended, in the same order. It returns when all have ended or the
    /// limits are reached, whatever the tasks do.
    ///
    /// Tasks that need nothing run first, so that a hung guest costs no value that needs no monitor. Those about the
    /// host come next.
    /// `on_quiet` is called now and then while a task takes long; it must not block.
    pub fn run<T: Send + 'static>(
        &self,
        tasks: Vec<Task<T>>,
        limits: Limits,
        on_quiet: &mut dyn FnMut(),
    ) -> Vec<Outcome<T>> {
        let results: Arc<Mutex<Vec<Option<T>>>> =
            Arc::new(Mutex::new(tasks.iter().map(|_| None).collect()));
        let mut state = self.shared.lock();
        state.verdicts = vec![Verdict::Pending; tasks.len()];
        state.pending = tasks.len();
        for (index, task) in tasks.into_iter().enumerate() {
            if state.is_out(task.subject, task.need) {
                state.settle(index, Verdict::Quarantined);
                continue;
            }
            let results = Arc::clone(&results);
            let work = task.work;
            let run = Box::new(move || {
                let Answer { value, is_lost } = work();
                if let Some(slot) = lock(&results).get_mut(index) {
                    *slot = Some(value);
                }
                is_lost
            });
            let ticket = Ticket {
                number: state.next_ticket,
                index,
                subject: task.subject,
                lane: task.lane,
                need: task.need,
                run,
            };
            state.next_ticket += 1;
            match task.need {
                Need::Nothing => state.free.push_back(ticket),
                Need::Host => state.host.push_back(ticket),
                Need::Monitor => state.guarded.push_back(ticket),
            }
        }
        let state = self.wait(state, limits, on_quiet);
        let verdicts = state.verdicts.clone();
        drop(state);
        let mut results = lock(&results);
        verdicts
            .into_iter()
            .zip(results.drain(..))
            .map(|(verdict, result)| match (verdict, result) {
                (Verdict::Returned, Some(result)) => Outcome::Done(result),
                (Verdict::Quarantined, _) => Outcome::Quarantined,
                (Verdict::Withheld, _) => Outcome::Withheld,
                // A task that returned without a result panicked; its value is as lost as a late one.
                _ => Outcome::Late,
            })
            .collect()
    }

    /// What is out at the moment.
    pub fn abandoned(&self) -> Abandoned {
        let state = self.shared.lock();
        Abandoned {
            guarded: state.abandoned_guarded,
            free: state.abandoned_free + state.abandoned_host,
            subjects: state.out.len(),
        }
    }

    /// The subjects of orphaned calls.
    pub fn orphans(&self) -> Vec<Subject> {
        let state = self.shared.lock();
        let orphans = state.out.iter().filter(|(_, out)| out.orphaned > 0);
        orphans.map(|(subject, _)| *subject).collect()
    }

    /// Takes the orphaned calls of a subject off the books: the daemon is no longer at them.
    pub fn release(&self, subject: Subject) {
        let mut state = self.shared.lock();
        let Some(out) = state.out.get_mut(&subject) else { return };
        let released = std::mem::take(&mut out.orphaned);
        if out.is_empty() {
            state.out.remove(&subject);
        }
        state.abandoned_guarded -= released;
    }

    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        limits: Limits,
        on_quiet: &mut dyn FnMut(),
    ) -> MutexGuard<'a, State> {
        let maximum = self.shared.maximum_abandoned;
        let mut quiet = QUIET;
        loop {
            state.abandon_overdue(limits);
            state.withhold(maximum);
            let now = Instant::now();
            if now >= limits.all {
                state.give_up();
            }
            if state.pending == 0 {
                return state;
            }
            self.staff(&mut state);
            self.shared.work.notify_all();
            let oldest = state.oldest_running();
            if oldest.is_some_and(|since| now.duration_since(since) >= quiet) {
                on_quiet();
                quiet *= 2;
            }
            // A task that has not started yet is looked at again soon.
            let oldest = oldest.unwrap_or(now);
            let until = (oldest + limits.task).min(oldest.max(now) + quiet).min(limits.all);
            let pause = until.saturating_duration_since(now);
            state = self
                .shared
                .progress
                .wait_timeout(state, pause)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Starts the threads that are missing and have something to do.
    fn staff(&self, state: &mut State) {
        let host =
            usize::from(!state.host.is_empty() || state.running(|one| one.need == Need::Host) > 0);
        let wanted = (self.shared.concurrency + host).min(state.pending);
        while state.workers < wanted {
            let shared = Arc::clone(&self.shared);
            let started = thread::Builder::new()
                .name(String::from("libvirt-call"))
                .spawn(move || shared.serve());
            if started.is_err() {
                // No more threads on this host now: the present ones carry on, or the deadline ends it.
                return;
            }
            state.workers += 1;
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// A worker's life: it ends when the pool is closed or its place was taken while it was stuck.
    fn serve(&self) {
        let mut state = self.lock();
        loop {
            if state.closed {
                return;
            }
            let Some(ticket) = state.take(self.concurrency, self.maximum_abandoned) else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            if ticket.need == Need::Host {
                // The place among the others that this worker had is free for one that waits.
                self.work.notify_all();
            }
            // A panic is a defect, but it must not take the thread's place in the books with it.
            let is_lost = catch_unwind(AssertUnwindSafe(ticket.run)).unwrap_or(false);
            state = self.lock();
            let was_abandoned = state.finish(ticket.number, is_lost);
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
    fn is_out(&self, subject: Subject, need: Need) -> bool {
        self.out.get(&subject).is_some_and(|out| match need {
            Need::Nothing | Need::Host => out.free > 0,
            Need::Monitor => !out.is_empty(),
        })
    }

    fn settle(&mut self, index: usize, verdict: Verdict) {
        self.verdicts[index] = verdict;
        self.pending -= 1;
    }

    fn take(&mut self, concurrency: usize, maximum: usize) -> Option<Ticket> {
        let has_place = self.running(|one| one.need != Need::Host) < concurrency;
        let ticket = if has_place
            && self.abandoned_free < maximum
            && let Some(ticket) = self.free.front()
            && (self.has_room(ticket.lane) || self.is_troubled(ticket.lane))
        {
            self.free.pop_front()?
        } else if let Some(ticket) = self.host.front()
            && self.has_room(ticket.lane)
            && !self.out(ticket.lane).any(|one| one.need == Need::Host)
        {
            self.host.pop_front()?
        } else if has_place
            && self.abandoned_guarded + self.guarded_running < maximum
            && self.has_room(self.guarded.front()?.lane)
        {
            self.guarded.pop_front()?
        } else {
            return None;
        };
        if ticket.need == Need::Monitor {
            self.guarded_running += 1;
        }
        self.running.push(Running {
            ticket: ticket.number,
            index: ticket.index,
            subject: ticket.subject,
            lane: ticket.lane,
            need: ticket.need,
            since: Instant::now(),
            abandoned: false,
        });
        Some(ticket)
    }

    /// How many tasks are run and waited for, of those that `counts` says.
    fn running(&self, counts: impl Fn(&Running) -> bool) -> usize {
        self.running.iter().filter(|one| !one.abandoned && counts(one)).count()
    }

    /// What is out on a connection.
    fn out(&self, lane: u64) -> impl Iterator<Item = &Running> {
        self.running.iter().filter(move |one| one.lane == lane)
    }

    /// Whether a connection may have another call out.
    fn has_room(&self, lane: u64) -> bool {
        self.out(lane).count() < LANE_LIMIT
    }

    /// Whether an abandoned call holds a place of a connection.
    fn is_troubled(&self, lane: u64) -> bool {
        self.out(lane).any(|one| one.abandoned)
    }

    /// Books a call that has returned; true when it had been abandoned.
    fn finish(&mut self, ticket: u64, is_lost: bool) -> bool {
        let position = self.running.iter().position(|running| running.ticket == ticket);
        let running = self.running.swap_remove(position.expect("a running ticket is on the list"));
        match (running.need, running.abandoned) {
            (Need::Nothing | Need::Host, false) => {}
            (Need::Nothing, true) => {
                self.abandoned_free -= 1;
                self.out.entry(running.subject).or_default().free -= 1;
            }
            (Need::Host, true) => {
                self.abandoned_host -= 1;
                self.out.entry(running.subject).or_default().free -= 1;
            }
            (Need::Monitor, false) => self.guarded_running -= 1,
            (Need::Monitor, true) => {
                self.abandoned_guarded -= 1;
                self.out.entry(running.subject).or_default().guarded -= 1;
            }
        }
        if is_lost && running.need == Need::Monitor {
            self.abandoned_guarded += 1;
            self.out.entry(running.subject).or_default().orphaned += 1;
        }
        if self.out.get(&running.subject).is_some_and(Out::is_empty) {
            self.out.remove(&running.subject);
        }
        if !running.abandoned {
            self.settle(running.index, Verdict::Returned);
        }
        running.abandoned
    }

    fn abandon(&mut self, position: usize) {
        let running = &mut self.running[position];
        running.abandoned = true;
        let (index, need) = (running.index, running.need);
        let out = self.out.entry(running.subject).or_default();
        match need {
            Need::Nothing => {
                out.free += 1;
                self.abandoned_free += 1;
            }
            Need::Host => {
                out.free += 1;
                self.abandoned_host += 1;
            }
            Need::Monitor => {
                out.guarded += 1;
                self.abandoned_guarded += 1;
                self.guarded_running -= 1;
            }
        }
        self.workers -= 1;
        self.settle(index, Verdict::Late);
    }

    fn abandon_overdue(&mut self, limits: Limits) {
        let now = Instant::now();
        for position in 0..self.running.len() {
            let running = &self.running[position];
            if !running.abandoned && now >= (running.since + limits.task).min(limits.all) {
                self.abandon(position);
            }
        }
    }

    /// Drops the queued tasks that the bound no longer lets through.
    fn withhold(&mut self, maximum: usize) {
        if self.abandoned_free >= maximum {
            while let Some(ticket) = self.free.pop_front() {
                self.settle(ticket.index, Verdict::Withheld);
            }
        }
        let is_stuck = self.host.front().is_some_and(|ticket| {
            self.is_lane_full(ticket.lane)
                || self.out(ticket.lane).any(|one| one.abandoned && one.need == Need::Host)
        });
        if is_stuck {
            while let Some(ticket) = self.host.pop_front() {
                self.settle(ticket.index, Verdict::Withheld);
            }
        }
        let is_full = self.guarded.front().is_some_and(|ticket| self.is_lane_full(ticket.lane));
        if self.abandoned_guarded >= maximum || is_full {
            while let Some(ticket) = self.guarded.pop_front() {
                self.settle(ticket.index, Verdict::Withheld);
            }
        }
    }

    /// Whether the abandoned calls of a connection leave no place.
    fn is_lane_full(&self, lane: u64) -> bool {
        self.out(lane).filter(|one| one.abandoned).count() >= LANE_LIMIT
    }

    /// The next task of any kind.
    fn next(&mut self) -> Option<Ticket> {
        let queues = [&mut self.free, &mut self.host, &mut self.guarded];
        queues.into_iter().find_map(VecDeque::pop_front)
    }

    fn give_up(&mut self) {
        while let Some(ticket) = self.next() {
            self.settle(ticket.index, Verdict::Withheld);
        }
        for position in 0..self.running.len() {
            if !self.running[position].abandoned {
                self.abandon(position);
            }
        }
    }

    /// Since when the oldest of the tasks that are waited for has been running.
    fn oldest_running(&self) -> Option<Instant> {
        let waited_for = self.running.iter().filter(|running| !running.abandoned);
        waited_for.map(|running| running.since).min()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The state is consistent at every point where a panic could happen, so poison says nothing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};

    fn domain(number: u8) -> Subject {
        Subject::Domain([number; 16], i32::from(number))
    }

    fn task(
        subject: Subject,
        need: Need,
        work: impl FnOnce() -> u32 + Send + 'static,
    ) -> Task<u32> {
        let work = Box::new(move || Answer { value: work(), is_lost: false });
        Task { subject, lane: 1, need, work }
    }

    fn quick(subject: Subject, need: Need, value: u32) -> Task<u32> {
        task(subject, need, move || value)
    }

    /// A task that hangs until the returned sender is dropped.
    fn hanging(subject: Subject, need: Need) -> (Task<u32>, Sender<()>) {
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
        fn task(&self, subject: Subject, need: Need) -> Task<u32> {
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

    fn limits(task: u64, all: u64) -> Limits {
        Limits {
            task: Duration::from_millis(task),
            all: Instant::now() + Duration::from_millis(all),
        }
    }

    fn run(pool: &Pool, tasks: Vec<Task<u32>>, limits: Limits) -> Vec<Outcome<u32>> {
        pool.run(tasks, limits, &mut || {})
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
        assert_eq!(pool.abandoned(), Abandoned { guarded: 1, free: 0, subjects: 1 });

        let again = vec![quick(domain(1), Need::Monitor, 1), quick(domain(1), Need::Nothing, 4)];
        let outcomes = run(&pool, again, limits(5_000, 5_000));
        assert_eq!(outcomes, [Outcome::Quarantined, Outcome::Done(4)]);

        drop(release);
        settle(&pool);
        let outcomes = run(&pool, vec![quick(domain(1), Need::Monitor, 1)], limits(5_000, 5_000));
        assert_eq!(outcomes, [Outcome::Done(1)]);
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
                task.lane = lane;
            }
            let outcomes = run(&pool, tasks, limits(30, 5_000));
            let late = outcomes.iter().filter(|outcome| **outcome == Outcome::Late).count();
            assert_eq!(late, if lane == 1 { LANE_LIMIT } else { 5 - LANE_LIMIT });
        }
        assert_eq!(pool.abandoned(), Abandoned { guarded: 5, free: 0, subjects: 5 });

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
    fn a_call_that_lost_its_connection_is_out_until_it_is_released() {
        let pool = Pool::new(2, 2);
        let lost = |number| Task {
            subject: domain(number),
            lane: 1,
            need: Need::Monitor,
            work: Box::new(|| Answer { value: 0, is_lost: true }),
        };
        run(&pool, vec![lost(1), lost(2)], limits(5_000, 5_000));
        assert_eq!(pool.abandoned(), Abandoned { guarded: 2, free: 0, subjects: 2 });
        let again = || vec![quick(domain(1), Need::Monitor, 1), quick(domain(3), Need::Monitor, 3)];
        let outcomes = run(&pool, again(), limits(5_000, 5_000));
        assert_eq!(outcomes, [Outcome::Quarantined, Outcome::Withheld]);
        assert_eq!(pool.orphans().len(), 2);
        pool.release(domain(1));
        pool.release(domain(1));
        let outcomes = run(&pool, again(), limits(5_000, 5_000));
        assert_eq!(outcomes, [Outcome::Done(1), Outcome::Done(3)]);
        pool.release(domain(2));
        assert_eq!(pool.abandoned(), Abandoned::default());
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
        let pool = Pool::new(1, 1);
        let host = Subject::Host(HostCall::StoragePools);
        let (hung, release) = hanging(host, Need::Host);
        let networks = || quick(Subject::Host(HostCall::Networks), Need::Host, 1);
        let volumes = || quick(Subject::Host(HostCall::StorageVolumes), Need::Host, 2);
        let guests =
            || vec![quick(domain(1), Need::Nothing, 3), quick(domain(2), Need::Monitor, 4)];
        let mut tasks = guests();
        tasks.extend([networks(), hung, volumes()]);
        let outcomes = run(&pool, tasks, limits(300, 5_000));
        let done = [3, 4, 1].map(Outcome::Done);
        assert_eq!(outcomes[..3], done);
        assert_eq!(outcomes[3..], [Outcome::Late, Outcome::Withheld]);
        assert_eq!(pool.abandoned(), Abandoned { guarded: 0, free: 1, subjects: 1 });

        // On another connection only what hangs is left out.
        let mut tasks = guests();
        tasks.extend([networks(), quick(host, Need::Host, 5), volumes()]);
        for task in &mut tasks {
            task.lane = 2;
        }
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
        let (host, release) = hanging(Subject::Host(HostCall::Node), Need::Host);
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
    fn the_deadline_of_all_ends_the_wait_whatever_the_tasks_do() {
        let pool = Pool::new(1, 5);
        let (hung, release) = hanging(Subject::Connection(1), Need::Nothing);
        let outcomes =
            run(&pool, vec![hung, quick(domain(1), Need::Nothing, 1)], limits(60_000, 30));
        assert_eq!(outcomes, [Outcome::Late, Outcome::Withheld]);
        drop(release);
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
        let mut quiet = 0;
        pool.run(vec![hung], limits(300, 5_000), &mut || quiet += 1);
        assert!((1..=5).contains(&quiet), "{quiet} times");
        drop(release);
        quiet = 0;
        pool.run(vec![quick(domain(2), Need::Monitor, 2)], limits(300, 5_000), &mut || quiet += 1);
        assert_eq!(quiet, 0);
    }
}
