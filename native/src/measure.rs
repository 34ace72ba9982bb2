//! The values of domains, and what is asked about the host.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::answers::{Measurement, Verdict};
use crate::bulk;
use crate::calls::groups::{INTERFACE, STATE, WITHOUT_MONITOR};
use crate::connection::Domain;
use crate::coordinator::Coordinator;
use crate::host::{HOST_CALLS, HostCall};
use crate::pool::{Need, Subject, Task};
use crate::reader::{self, Circumstances, Reader, Step};
use crate::reading::Reading;
use crate::results::Findings;
use crate::threads::lock;

/// How long libvirt may take to know that a guest has ended whose end made a call fail: it first waits for the calls
/// that are at the guest's monitor, then for the process (`qemuProcessStop`).
const ENDING_PATIENCE: Duration = Duration::from_secs(1);

/// After how many milliseconds a domain is asked again that somebody else was asking: most questions to a guest take one.
const BUSY_PAUSES: [u64; 5] = [10, 30, 90, 90, 90];

/// After this long the cgroup is asked again for a CPU time that it had not: as libvirtd starts, a guest that runs has none yet.
const WITHOUT_CGROUP_MEMORY: Duration = Duration::from_secs(600);

/// What a task of a measurement is about.
#[derive(Clone, Copy)]
enum Owner {
    Domain(u32),
    Host(HostCall),
    /// The network counters and the like of many domains.
    Several,
}

impl Owner {
    fn handle(self) -> Option<u32> {
        if let Self::Domain(handle) = self { Some(handle) } else { None }
    }
}

impl Coordinator {
    /// Asks for the values of surveyed domains, in this order, and about the host. What was lost with its connection, or found
    /// no place on it, is asked once more on another.
    pub fn measure(&mut self, handles: &[u32]) -> Measurement {
        let surveyed = handles.iter().filter_map(|&handle| self.roster.get(handle));
        let mut findings = Findings::new(surveyed);
        let answered = findings.which(|result| result.verdict == Verdict::Complete);
        findings.missed = self.asked_at_once(&answered);
        let host_calls = self.question.wanted.host_calls;
        let host_calls = HOST_CALLS.into_iter().filter(|call| host_calls & call.bit != 0);
        let domains = answered.into_iter().map(Owner::Domain);
        let owners = domains.chain(host_calls.map(Owner::Host)).collect();
        let again = self.ask(owners, true, &mut findings);
        if !again.is_empty() {
            self.ask(again, false, &mut findings);
        }
        self.ask_missed(&mut findings);
        self.ask_busy_again(&mut findings);
        self.ask_switches(&mut findings);
        self.find_gone(&mut findings);
        self.event_loop_pause = None;
        let additions = lock(&self.dictionary).additions();
        let (call_times, status) = (self.call_times.take(), self.status());
        findings.into_measurement(handles, additions, call_times, status)
    }

    /// Asks, and keeps what was found. Returns what may be asked again on another connection, which there is then: a call
    /// that was lost with its own, or one that found no place on it.
    fn ask(&mut self, owners: Vec<Owner>, is_first: bool, findings: &mut Findings) -> Vec<Owner> {
        let mut tasks = Vec::with_capacity(2 * owners.len() + 1);
        tasks.extend(self.several_task(&findings.missed).map(|task| (Owner::Several, task)));
        for owner in owners {
            match owner {
                // Whoever is not on the list of the other connection has gone.
                Owner::Domain(handle) if self.roster.get(handle).is_none() => {
                    findings.judge(handle, Verdict::Gone);
                }
                Owner::Domain(handle) => {
                    let of_domain = self.step_tasks(handle, self.steps(handle)).into_iter();
                    tasks.extend(of_domain.map(|(_, task)| (owner, task)));
                }
                Owner::Host(call) => tasks.extend(self.host_task(call).map(|task| (owner, task))),
                Owner::Several => {}
            }
        }
        let readings = self.run(tasks);
        let serial = self.connector.current().map_or(0, |connection| connection.serial);
        let is_withheld = |reading: &Reading| reading.verdict == Verdict::Withheld;
        let is_lost = readings.iter().any(|(_, reading)| reading.is_lost);
        let has_no_place =
            self.pool.is_full(serial) && readings.iter().any(|(_, reading)| is_withheld(reading));
        let can_repeat = is_first && (is_lost || has_no_place) && self.renew(is_lost);
        let mut again = Vec::new();
        for (owner, reading) in readings {
            if can_repeat && (reading.is_lost || is_withheld(&reading)) {
                again.push(owner);
                continue;
            }
            match owner {
                Owner::Domain(handle) => {
                    if reading.lacks_cgroup {
                        self.without_cgroup.insert(handle, Instant::now());
                    }
                    findings.add(handle, reading);
                }
                Owner::Host(call) => findings.add_host(call, reading),
                Owner::Several => Self::spread(reading, findings),
            }
        }
        // The tasks of a domain follow each other, and it is asked for all of them again.
        again.dedup_by(|one, other| one.handle().is_some() && one.handle() == other.handle());
        again
    }

    /// Goes on with another connection, when there is one soon: instead of one that is lost, or of one that abandoned calls
    /// leave no place on. The domains of the roster are known by it then.
    pub fn renew(&mut self, is_lost: bool) -> bool {
        let Some(connection) = self.connector.current() else { return false };
        let serial = connection.serial;
        if is_lost {
            self.discard(serial);
        } else if self.replaced(connection, self.question.limits().last_start).serial == serial {
            return false;
        }
        matches!(self.list(), Ok(None))
    }

    /// The groups that need no monitor and are asked of many domains at once.
    fn groups_of_several(&self) -> u32 {
        let has_bulk = self.connector.current().is_some_and(|connection| connection.has_bulk());
        if has_bulk { self.question.wanted.groups & WITHOUT_MONITOR & !STATE } else { 0 }
    }

    /// Whether a domain has interfaces whose counters a virtual switch keeps. It is not asked with others then.
    fn has_vhost_user(&self, handle: u32) -> bool {
        self.devices.get(&handle).is_some_and(|devices| !devices.vhost_user.is_empty())
    }

    /// Those of the domains whose network counters and the like can be asked for at once.
    fn asked_at_once(&self, handles: &[u32]) -> Vec<u32> {
        let has_groups = self.groups_of_several() != 0;
        let is_asked = |&handle: &u32| has_groups && !self.has_vhost_user(handle);
        let running = handles.iter().filter(|&&handle| self.running(handle).is_some());
        running.copied().filter(is_asked).collect()
    }

    /// The task that asks for them. When the list is late, so would be this, and they are asked one by one.
    fn several_task(&self, handles: &[u32]) -> Option<Task> {
        let groups = self.groups_of_several();
        if groups == 0 || !self.roster.is_of_this_scrape {
            return None;
        }
        let asked = handles.iter().filter_map(|&handle| Some((handle, self.running(handle)?)));
        let domains: Vec<_> = asked.map(|(handle, domain)| (handle, Arc::clone(domain))).collect();
        let connection = Arc::clone(&domains.first()?.1.connection);
        let (subject, limit) = (Subject::Several(connection.serial), self.question.short_limit());
        Some(self.task(&connection, subject, Need::Nothing, limit, move |caller| {
            let asked = domains.iter().map(|(_, domain)| domain.as_ref());
            Reading::from_call(bulk::statistics(caller, asked, groups), |reading, rows| {
                let by_id = domains.iter().map(|(handle, domain)| (domain.run.id, *handle));
                let handles: HashMap<i32, u32> = by_id.collect();
                let own = rows.into_iter().filter_map(|(id, row)| Some((*handles.get(&id)?, row)));
                reading.rows = own.collect();
            })
        }))
    }

    /// A surveyed domain, unless it is shut off.
    fn running(&self, handle: u32) -> Option<&Arc<Domain>> {
        self.roster.get(handle).map(|surveyed| &surveyed.domain).filter(|one| one.run.id >= 0)
    }

    /// Gives each domain what was asked of many at once.
    fn spread(reading: Reading, findings: &mut Findings) {
        findings.failures.count(None, reading.errors);
        if reading.verdict != Verdict::Complete {
            return;
        }
        let mut missed: HashSet<u32> = findings.missed.drain(..).collect();
        for (handle, row) in reading.rows {
            missed.remove(&handle);
            findings.add(handle, Reading { row, ..Reading::default() });
        }
        for handle in missed {
            // One that is not among the records has gone.
            findings.judge(handle, Verdict::Gone);
        }
    }

    /// Asks one by one what has not come for many at once: whoever held that up costs itself.
    fn ask_missed(&mut self, findings: &mut Findings) {
        let step = Step::groups_without_monitor(self.groups_of_several());
        let mut tasks = Vec::new();
        for handle in std::mem::take(&mut findings.missed) {
            let of_domain = self.step_tasks(handle, vec![step.clone()]);
            if of_domain.is_empty() {
                // Nobody can be asked any more: the connection is lost, and there is no other.
                findings.judge(handle, Verdict::Withheld);
            }
            tasks.extend(of_domain);
        }
        for (handle, reading) in self.run(tasks) {
            findings.add(handle, reading);
        }
    }

    /// Asks again those that somebody else was asking, so that a page does not lack them for a question of a moment.
    fn ask_busy_again(&mut self, findings: &mut Findings) {
        for pause in BUSY_PAUSES.map(Duration::from_millis) {
            let busy = findings.which(|result| result.verdict == Verdict::Busy);
            if busy.is_empty() || Instant::now() + pause >= self.question.limits().last_start {
                return;
            }
            thread::sleep(pause);
            let tasks = busy.into_iter().flat_map(|handle| {
                let mut steps = self.steps(handle);
                steps.retain(|step| step.need == Need::Monitor);
                self.step_tasks(handle, steps)
            });
            let tasks = tasks.collect();
            for (handle, reading) in self.run(tasks) {
                if let Some(result) = findings.domains.get_mut(&handle) {
                    result.add_again(reading);
                }
            }
        }
    }

    /// What a domain is asked; nothing when it is shut off. What needs no monitor is a step of its own, so that a hung guest
    /// keeps it.
    fn steps(&self, handle: u32) -> Vec<Step> {
        let Some(domain) = self.running(handle) else { return Vec::new() };
        let circumstances = Circumstances {
            has_bulk: domain.connection.has_bulk(),
            disks: self.devices.get(&handle).map_or(0, |devices| devices.disks.len()),
            has_vhost_user: self.has_vhost_user(handle),
            has_cgroup: self
                .without_cgroup
                .get(&handle)
                .is_none_or(|noted| noted.elapsed() > WITHOUT_CGROUP_MEMORY),
        };
        let wanted = self.question.wanted;
        reader::plan(wanted.groups, wanted.domain_calls, circumstances)
    }

    /// A task for each step of a domain.
    fn step_tasks(&self, handle: u32, steps: Vec<Step>) -> Vec<(u32, Task)> {
        let Some(domain) = self.running(handle) else { return Vec::new() };
        let devices = self.devices.get(&handle).cloned().unwrap_or_default();
        let task = |Step { need, calls }| {
            let devices = Arc::clone(&devices);
            let limit = self.question.call_limit;
            let task = self.domain_task(domain, need, limit, move |caller| {
                Reader::new(*caller, &devices).read(&calls)
            });
            (handle, task)
        };
        steps.into_iter().map(task).collect()
    }

    /// The task for a kind of calls about the host; each has its own, so that one that hangs costs no other.
    fn host_task(&self, call: HostCall) -> Option<Task> {
        let (connection, limit) = (self.connector.current()?, self.question.call_limit);
        let subject = Subject::Host(call.bit);
        Some(self.task(&connection, subject, Need::Host, limit, move |caller| call.read(caller)))
    }

    /// Asks for the counters of interfaces that a virtual switch keeps: libvirt runs a program for each, and holds the domain's
    /// lock meanwhile. So they come last, one a call, and the first that is late ends it for some minutes.
    fn ask_switches(&mut self, findings: &mut Findings) {
        if self.question.wanted.groups & INTERFACE == 0 {
            return;
        }
        let answered = findings.which(|result| result.verdict < Verdict::Withheld);
        let tasks = answered.into_iter().flat_map(|handle| {
            let devices = self.devices.get(&handle);
            let names = devices.map_or(&[][..], |devices| &devices.vhost_user).iter().enumerate();
            let with_name = names.filter(|(_, name)| !name.is_empty());
            let steps = with_name.map(|(position, _)| Step::switch(position)).collect();
            self.step_tasks(handle, steps)
        });
        let tasks: Vec<_> = tasks.collect();
        if tasks.is_empty() {
            return;
        }
        if self.switches.is_open(Instant::now()) {
            for (handle, _) in tasks {
                findings.judge(handle, Verdict::Suspended);
            }
            return;
        }
        let (mut is_late, mut has_answered) = (false, false);
        for (handle, mut reading) in self.run(tasks) {
            is_late |= reading.verdict == Verdict::Late;
            has_answered |= reading.is_whole();
            if matches!(reading.verdict, Verdict::Late | Verdict::Quarantined | Verdict::Withheld) {
                reading.verdict = Verdict::Suspended;
            }
            findings.add(handle, reading);
        }
        if is_late {
            self.switches.open(Instant::now());
        } else if has_answered {
            self.switches.reset();
        }
    }

    /// Looks once more at the domains that failed: libvirt takes a moment to list a guest as gone whose end
    /// made a call fail, and that a guest has ended is no failure. One that fails again and again is not waited for.
    fn find_gone(&mut self, findings: &mut Findings) {
        // With a failed call it may also be busy: what is asked again after one does not wait for those who end it.
        let has_failed =
            |result: &Reading| !result.errors.is_empty() && result.verdict != Verdict::Gone;
        let failed = findings.which(has_failed);
        let now = Instant::now();
        let new = self.failed.note(now, failed.iter().copied());
        // The same for all of them: when many fail at once they have not ended one by one.
        let left = self.question.deadline.saturating_duration_since(now);
        let patient_until = now + ENDING_PATIENCE.min(left / 2);
        let limit = self.question.call_limit.max(ENDING_PATIENCE);
        let tasks = failed.into_iter().filter_map(|handle| {
            let until = if new.contains(&handle) { patient_until } else { now };
            let domain = &self.roster.get(handle)?.domain;
            let task = self.domain_task(domain, Need::Nothing, limit, move |caller| {
                Reading::of(if caller.ends_until(until) {
                    Verdict::Gone
                } else {
                    Verdict::Complete
                })
            });
            Some((handle, task))
        });
        let tasks = tasks.collect();
        for (handle, reading) in self.run(tasks) {
            if reading.verdict == Verdict::Gone {
                findings.judge(handle, Verdict::Gone);
            }
        }
    }
}
