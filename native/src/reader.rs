//! The calls for one domain: each value from the cheapest call that has it.

use std::ffi::{CStr, CString};
use std::sync::MutexGuard;

use crate::answers::Verdict;
use crate::bindings;
use crate::calls::domain_calls as call;
use crate::calls::groups::{BALLOON, BLOCK, CPU, INTERFACE, STATE, VCPU, WITHOUT_MONITOR};
use crate::domain_calls::{DiskValues, DomainCaller};
use crate::error::{LibvirtError, Result};
use crate::pool::Need;
use crate::reading::Reading;
use crate::row::Row;

/// What is asked for again, by itself, when a bulk call failed that asked for more.
const CORE_GROUPS: u32 = BALLOON | BLOCK | VCPU;

/// Present in a bulk record exactly when the guest's monitor was asked for its balloon: QEMU's driver adds it
/// right after that question (`qemuDomainMemoryStatsInternal`, libvirt 9.0).
const BALLOON_WAS_ASKED: &[u8] = b"balloon.rss";

/// Present in a bulk record, for each disk that has statistics, exactly when the guest's monitor was asked for its disks.
const BLOCKS_WERE_ASKED: &[u8] = b".rd.reqs";

/// The fields that the disks' group has.
const BLOCK_FIELDS: &[u8] = b"block.";

/// The devices that per-device calls ask for, by target name.
#[derive(Debug, Default)]
pub struct Devices {
    /// Disks (`vda`), but for those that have no statistics.
    pub disks: Vec<CString>,
    /// Interfaces (`tap…`).
    pub interfaces: Vec<CString>,
    /// Interfaces whose counters a virtual switch keeps (vhost-user): libvirt runs a program to ask it. Those without a
    /// target are empty: nothing is to be had of them.
    pub vhost_user: Vec<CString>,
}

/// Calls that belong together: they are made one after the other, and the same has to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What has to answer.
    pub need: Need,
    /// The calls, in this order.
    pub calls: Vec<Call>,
}

/// A call about a domain, or about each of its devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// The bulk call for groups that need no monitor.
    Groups(u32),
    /// The bulk call to the guest's monitor, which does not wait. The calls after it do, so they are made only when it has
    /// shown that the guest answers.
    MonitorGroups(u32),
    /// The CPU time, of the domain's cgroup.
    CpuTime,
    /// The counters of each interface.
    Interfaces,
    /// The domain's size.
    Information,
    /// The place of each vCPU.
    Vcpus {
        /// What it does as well.
        usage: bool,
    },
    /// How many snapshots there are.
    Snapshots,
    /// How many checkpoints there are.
    Checkpoints,
    /// The memory, as the guest reports it.
    Memory,
    /// The counters of each disk.
    Disks(DiskValues),
    /// The domain's job.
    Job,
    /// The counters of one interface that a virtual switch keeps, by its position among them.
    Switch(usize),
}

impl Call {
    /// Groups that need no monitor. Without any, libvirt would give all that there are.
    fn groups(groups: u32) -> Option<Self> {
        (groups != 0).then_some(Self::Groups(groups))
    }
}

impl Step {
    /// Groups that need no monitor; no call when there are none.
    pub fn groups_without_monitor(groups: u32) -> Self {
        Self { need: Need::Nothing, calls: Call::groups(groups).into_iter().collect() }
    }

    /// One interface of a virtual switch.
    pub fn switch(position: usize) -> Self {
        Self { need: Need::Switch, calls: vec![Call::Switch(position)] }
    }
}

/// What a domain's steps depend on besides what is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// Whether the driver's bulk statistics go beyond the state.
    pub has_bulk: bool,
    /// How many disks it has.
    pub disks: usize,
    /// Whether it has interfaces whose counters a virtual switch keeps. It is not among those that are asked at once for
    /// what needs no monitor then.
    pub has_vhost_user: bool,
    /// Whether its cgroup has its CPU time, as far as is known.
    pub has_cgroup: bool,
}

/// The steps for a domain, without those for interfaces of a virtual switch.
pub fn plan(groups: u32, calls: u32, circumstances: Circumstances) -> Vec<Step> {
    let Circumstances { has_bulk, disks, has_vhost_user, has_cgroup } = circumstances;
    let has = |bit: u32| groups & bit != 0;
    let wants = |bit: u32| calls & bit != 0;
    let is_from_monitor = has_bulk && !has_cgroup && wants(call::CPU_TIME);
    // The bulk group asks for all interfaces of a domain, those of a switch among them.
    let own_groups = groups & WITHOUT_MONITOR & !(STATE | INTERFACE);
    let (balloon, vcpus) = (has(BALLOON) && !has_bulk, has(VCPU) && !has_bulk);
    let without_monitor = [
        Call::groups(own_groups).filter(|_| has_bulk && has_vhost_user),
        (wants(call::CPU_TIME) && !is_from_monitor || has(CPU) && !has_bulk)
            .then_some(Call::CpuTime),
        (has(INTERFACE) && (!has_bulk || has_vhost_user)).then_some(Call::Interfaces),
        (balloon || vcpus).then_some(Call::Information),
        (wants(call::VCPU_PLACEMENT) || vcpus).then_some(Call::Vcpus { usage: vcpus }),
        wants(call::SNAPSHOTS).then_some(Call::Snapshots),
        wants(call::CHECKPOINTS).then_some(Call::Checkpoints),
    ];
    let with_monitor = if has_bulk {
        with_monitor(if is_from_monitor { groups | CPU } else { groups }, calls, disks)
    } else {
        let values = if has(BLOCK) { Some(DiskValues::All) } else { disk_values(calls) };
        let job = wants(call::JOB).then_some(Call::Job);
        [balloon.then_some(Call::Memory), values.map(Call::Disks), job]
    };
    let steps = [
        (Need::Nothing, without_monitor.into_iter().flatten().collect()),
        (Need::Monitor, with_monitor.into_iter().flatten().collect()),
    ];
    let steps = steps.map(|(need, calls): (_, Vec<Call>)| Step { need, calls });
    steps.into_iter().filter(|step| !step.calls.is_empty()).collect()
}

/// What is wanted of each disk besides bulk statistics.
fn disk_values(calls: u32) -> Option<DiskValues> {
    if calls & call::BLOCK_TIMES != 0 {
        Some(DiskValues::All)
    } else {
        (calls & call::BLOCK_COUNTERS != 0).then_some(DiskValues::Counters)
    }
}

/// One bulk call, and calls that wait for the domain's job (they have no NOWAIT), which therefore follow it only when
/// it has shown that the guest answers: where it lacks a group that shows that, it gets one.
fn with_monitor(groups: u32, calls: u32, disks: usize) -> [Option<Call>; 3] {
    let values = disk_values(calls).filter(|_| groups & BLOCK == 0);
    let job = calls & call::JOB != 0;
    let mut bulk = groups & !WITHOUT_MONITOR;
    // A lone disk costs one round trip of the monitor by itself and several in the bulk group, but where nothing comes
    // before it, the bulk group needs no proof that the guest answers.
    let lone_disk = values.filter(|_| disks == 1 && bulk & BALLOON != 0);
    if values.is_some() && lone_disk.is_none() {
        bulk |= BLOCK;
    }
    if job && bulk & BALLOON == 0 && (bulk & BLOCK == 0 || disks == 0) {
        bulk |= BALLOON;
    }
    let bulk = (bulk != 0).then_some(Call::MonitorGroups(bulk));
    [bulk, lone_disk.map(Call::Disks), job.then_some(Call::Job)]
}

/// Makes the calls of a step about one domain.
pub struct Reader<'a> {
    caller: DomainCaller<'a>,
    /// The devices that the domain's definition names.
    devices: &'a Devices,
}

impl<'a> Reader<'a> {
    /// One that has made no call yet.
    pub fn new(caller: DomainCaller<'a>, devices: &'a Devices) -> Self {
        Self { caller, devices }
    }

    /// Makes the calls one after the other, for as long as somebody waits for what they give.
    pub fn read(self, calls: &[Call]) -> Reading {
        for &call in calls {
            if self.is_over() || !self.make(call) {
                break;
            }
        }
        self.caller.log().take_reading()
    }

    /// What was found so far.
    fn reading(&self) -> MutexGuard<'a, Reading> {
        self.caller.log().reading()
    }

    /// Whether further calls would be of no use.
    fn is_over(&self) -> bool {
        self.reading().verdict == Verdict::Gone || self.caller.log().is_closed()
    }

    /// Makes a call; false when those after it must not be made.
    fn make(&self, call: Call) -> bool {
        let Self { caller, devices } = *self;
        match call {
            Call::Groups(groups) => drop(self.bulk(groups, INTERFACE)),
            Call::MonitorGroups(groups) => return self.monitor_groups(groups),
            Call::CpuTime => self.cpu_time(),
            Call::Interfaces => {
                self.each_device(&devices.interfaces, |index, target| {
                    caller.interface(index, target)
                });
            }
            Call::Information => self.keep(caller.information()),
            Call::Vcpus { usage } => self.keep(caller.vcpus(usage)),
            Call::Snapshots => self.keep(caller.snapshots()),
            Call::Checkpoints => self.keep(caller.checkpoints()),
            Call::Memory => self.keep(caller.memory()),
            Call::Disks(wanted) => {
                self.each_device(&devices.disks, |index, target| {
                    caller.block(index, target, wanted)
                });
            }
            Call::Job => self.keep(caller.job()),
            Call::Switch(position) => {
                if let Some(target) = devices.vhost_user.get(position) {
                    let index = devices.interfaces.len() + position;
                    self.keep_device(caller.interface(index, target));
                }
            }
        }
        true
    }

    fn each_device(&self, names: &[CString], read: impl Fn(usize, &CStr) -> Result<Row>) {
        for (index, target) in names.iter().enumerate() {
            if self.is_over() {
                return;
            }
            self.keep_device(read(index, target));
        }
    }

    /// The CPU time, of a domain's cgroup. Before libvirt 11 it fails for a domain that runs without that controller, with
    /// the code that a domain gives which does not run.
    fn cpu_time(&self) {
        let values = self.caller.cpu_time();
        let is_missing = |error: &LibvirtError| error.is(bindings::VIR_ERR_OPERATION_INVALID);
        let lacks_cgroup = self.caller.domain.connection.has_bulk()
            && values.as_ref().is_err_and(is_missing)
            && !self.caller.has_ended();
        if lacks_cgroup {
            let mut reading = self.reading();
            reading.lacks_cgroup = true;
            // It is asked again then, for what its monitor says instead.
            reading.judge(Verdict::Busy);
        } else {
            self.keep(values);
        }
    }

    /// Whether calls may follow that have no NOWAIT: when the guest has just answered.
    fn monitor_groups(&self, groups: u32) -> bool {
        let has_values = self.bulk(groups, CORE_GROUPS);
        let has_answered = self.has_answered(groups);
        let is_busy = || match has_answered {
            Some(has_answered) => !has_answered,
            // Nothing that was asked for tells: what is left is whether somebody is at it now.
            None => self.caller.is_occupied().unwrap_or(false),
        };
        if has_values && is_busy() {
            self.reading().judge(Verdict::Busy);
        }
        has_answered == Some(true)
    }

    /// The bulk call; false when it gave nothing. It fails as a whole when one of its groups fails, so then those of `core`
    /// are asked for again, lest an odd one cost them.
    fn bulk(&self, groups: u32, core: u32) -> bool {
        let mut values = self.caller.statistics(groups);
        let core = groups & core;
        if let Err(error) = &values
            && core != 0
            && core != groups
            && !error.is_connection_lost()
        {
            self.keep(values);
            if self.is_over() || !self.caller.domain.connection.is_alive() {
                return false;
            }
            values = self.caller.statistics(core);
        }
        let has_values = values.is_ok();
        self.keep(values);
        has_values
    }

    /// Whether the guest's monitor has answered the bulk call for these groups, as far as its values tell.
    fn has_answered(&self, groups: u32) -> Option<bool> {
        let (reading, dictionary) = (self.reading(), self.caller.dictionary());
        let mut fields = reading.row.numbers.iter().map(|(field, _)| dictionary.string(*field));
        if groups & BALLOON != 0 {
            return Some(fields.any(|field| field == BALLOON_WAS_ASKED));
        }
        let is_mark =
            |field: &[u8]| field.starts_with(BLOCK_FIELDS) && field.ends_with(BLOCKS_WERE_ASKED);
        (groups & BLOCK != 0 && !self.devices.disks.is_empty()).then(|| fields.any(is_mark))
    }

    /// As `keep`. A device that libvirt does not know was detached since its definition was read.
    fn keep_device(&self, values: Result<Row>) {
        match values {
            Err(error) if error.is(bindings::VIR_ERR_INVALID_ARG) => {}
            other => self.keep(other),
        }
    }

    fn keep(&self, values: Result<Row>) {
        match values {
            Ok(row) => self.reading().row.append(row),
            // What the driver cannot give is absent, and asking for it is no failure.
            Err(error) if error.is_unsupported() => {}
            Err(error) if !error.is_connection_lost() && self.caller.has_gone(&error) => {
                self.reading().judge(Verdict::Gone);
            }
            Err(error) => self.reading().fail(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u32 = (1 << 11) - 1;

    /// A domain of QEMU's driver with so many disks.
    fn usual(disks: usize) -> Circumstances {
        Circumstances { has_bulk: true, disks, has_vhost_user: false, has_cgroup: true }
    }

    /// The same of a driver without bulk statistics.
    fn without_bulk(disks: usize) -> Circumstances {
        Circumstances { has_bulk: false, ..usual(disks) }
    }

    /// What a domain is asked without its monitor.
    fn without(calls: &[Call]) -> Step {
        Step { need: Need::Nothing, calls: calls.to_vec() }
    }

    /// What a domain is asked by its monitor.
    fn with(calls: &[Call]) -> Step {
        Step { need: Need::Monitor, calls: calls.to_vec() }
    }

    #[test]
    fn nothing_is_planned_for_what_is_asked_of_many_at_once() {
        assert_eq!(plan(WITHOUT_MONITOR, 0, usual(1)), []);
        assert_eq!(plan(0, 0, usual(1)), []);
        assert_eq!(plan(0, 0, without_bulk(1)), []);
    }

    #[test]
    fn a_domain_with_interfaces_of_a_switch_is_asked_for_the_others_one_by_one() {
        let others = Call::Groups(WITHOUT_MONITOR & !(STATE | INTERFACE));
        let circumstances = Circumstances { has_vhost_user: true, ..usual(1) };
        let steps = plan(WITHOUT_MONITOR, 0, circumstances);
        assert_eq!(steps, [without(&[others, Call::Interfaces])]);
        assert_eq!(plan(STATE, 0, circumstances), []);
    }

    #[test]
    fn cpu_time_that_the_cgroup_lacks_comes_with_what_needs_the_monitor() {
        let circumstances = Circumstances { has_cgroup: false, ..usual(1) };
        let expected = Call::MonitorGroups(BALLOON | CPU);
        assert_eq!(plan(BALLOON, call::CPU_TIME, circumstances), [with(&[expected])]);
        assert_eq!(plan(0, 0, circumstances), []);
    }

    #[test]
    fn calls_without_monitor_are_a_step_of_their_own() {
        let calls = call::CPU_TIME | call::VCPU_PLACEMENT | call::SNAPSHOTS | call::CHECKPOINTS;
        for has_bulk in [true, false] {
            let steps = plan(0, calls, Circumstances { has_bulk, ..usual(1) });
            let vcpus = Call::Vcpus { usage: false };
            let expected = [Call::CpuTime, vcpus, Call::Snapshots, Call::Checkpoints];
            assert_eq!(steps, [without(&expected)]);
        }
    }

    #[test]
    fn what_has_no_nowait_comes_after_a_group_that_shows_that_the_guest_answers() {
        let (counters, job) = (call::BLOCK_COUNTERS, call::JOB);
        let times = call::BLOCK_TIMES;
        let (few, all) = (Some(DiskValues::Counters), Some(DiskValues::All));
        let cases = [
            // groups, calls, disks; groups asked, lone disk, job
            (BALLOON, counters, 1, BALLOON, few, false),
            (BALLOON, counters, 2, BALLOON | BLOCK, None, false),
            (BALLOON, counters, 0, BALLOON | BLOCK, None, false),
            (BALLOON | BLOCK, counters, 1, BALLOON | BLOCK, None, false),
            (0, counters, 1, BLOCK, None, false),
            (VCPU, counters, 1, VCPU | BLOCK, None, false),
            (0, job, 1, BALLOON, None, true),
            (VCPU, job, 1, VCPU | BALLOON, None, true),
            (BALLOON, job, 1, BALLOON, None, true),
            (BLOCK, job, 1, BLOCK, None, true),
            (BLOCK, job, 0, BLOCK | BALLOON, None, true),
            (0, counters | job, 1, BLOCK, None, true),
            (BALLOON, counters | job, 1, BALLOON, few, true),
            (BALLOON, times, 1, BALLOON, all, false),
            (BALLOON, counters | times, 1, BALLOON, all, false),
            (BALLOON | BLOCK, times, 1, BALLOON | BLOCK, None, false),
            (0, times, 1, BLOCK, None, false),
        ];
        for (groups, calls, disks, asked, lone_disk, job) in cases {
            let mut expected = vec![Call::MonitorGroups(asked)];
            expected.extend(lone_disk.map(Call::Disks));
            expected.extend(job.then_some(Call::Job));
            let steps = plan(groups, calls, usual(disks));
            assert_eq!(steps, [with(&expected)], "{groups:#x} {calls:#x} {disks}");
        }
    }

    #[test]
    fn a_driver_without_bulk_statistics_is_asked_call_by_call() {
        let steps = plan(ALL, call::BLOCK_COUNTERS | call::JOB, without_bulk(1));
        let free = without(&[
            Call::CpuTime,
            Call::Interfaces,
            Call::Information,
            Call::Vcpus { usage: true },
        ]);
        let guest = with(&[Call::Memory, Call::Disks(DiskValues::All), Call::Job]);
        assert_eq!(steps, [free, guest]);
        for (calls, values) in [
            (call::BLOCK_COUNTERS, DiskValues::Counters),
            (call::BLOCK_TIMES, DiskValues::All),
            (call::BLOCK_COUNTERS | call::BLOCK_TIMES, DiskValues::All),
        ] {
            let expected = with(&[Call::Disks(values)]);
            assert_eq!(plan(0, calls, without_bulk(2)), [expected], "{calls:#x}");
        }
    }
}
