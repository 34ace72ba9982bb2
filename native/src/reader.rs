//! The calls for one domain: each value from the cheapest call that has it.

use std::sync::Arc;

use crate::bindings;
use crate::bulk;
use crate::call_times::CallLog;
use crate::connection::Domain;
use crate::domain_calls::{self, DiskValues, InformationValues, Occupation, VcpuValues};
use crate::error::{LibvirtError, code};
use crate::pool::Need;
use crate::row::{Row, SharedDictionary, lock};

/// Calls about a domain besides its bulk statistics, as bits; `DomainCall` on the other side of the seam.
pub mod call {
    /// `cpu.time`, `cpu.user`, `cpu.system`.
    pub const CPU_TIME: u32 = 1 << 0;
    /// Bytes, requests to read and write, and errors of `block`.
    pub const BLOCK_COUNTERS: u32 = 1 << 1;
    /// `vcpu.N.cpu`.
    pub const VCPU_PLACEMENT: u32 = 1 << 2;
    /// `job.…`.
    pub const JOB: u32 = 1 << 3;
    /// `snapshot.count`.
    pub const SNAPSHOTS: u32 = 1 << 4;
    /// `checkpoint.count`.
    pub const CHECKPOINTS: u32 = 1 << 5;
    /// Times and requests to flush of `block`; the call for a disk that has them has its counters, too.
    pub const BLOCK_TIMES: u32 = 1 << 6;
}

const CPU: u32 = bindings::VIR_DOMAIN_STATS_CPU_TOTAL;
const BALLOON: u32 = bindings::VIR_DOMAIN_STATS_BALLOON;
const VCPU: u32 = bindings::VIR_DOMAIN_STATS_VCPU;
const BLOCK: u32 = bindings::VIR_DOMAIN_STATS_BLOCK;
const INTERFACE: u32 = bindings::VIR_DOMAIN_STATS_INTERFACE;

/// What is asked for again, by itself, when a bulk call failed that asked for more.
const CORE_GROUPS: u32 = BALLOON | BLOCK | VCPU;

/// Present in a bulk record exactly when the guest's monitor was asked for its balloon: QEMU's driver adds it
/// right after that question (`qemuDomainMemoryStatsInternal`, libvirt 9.0).
const BALLOON_WAS_ASKED: &str = "balloon.rss";

/// Present in a bulk record exactly when the guest's monitor was asked for its disks.
const BLOCKS_WERE_ASKED: &str = "block.0.rd.reqs";

/// The fields that the balloon's group has.
const BALLOON_FIELDS: &[u8] = b"balloon.";

/// The devices that per-device calls ask for, by target name.
#[derive(Debug, Default)]
pub struct Devices {
    /// Disks (`vda`).
    pub disks: Vec<String>,
    /// Interfaces (`tap…`).
    pub interfaces: Vec<String>,
}

/// Field numbers that tell whether libvirt asked the guest's monitor.
#[derive(Clone, Copy)]
pub struct Marks {
    balloon: u32,
    block: u32,
}

impl Marks {
    /// The marks' numbers.
    pub fn new(dictionary: &SharedDictionary) -> Self {
        let mut dictionary = lock(dictionary);
        Self {
            balloon: dictionary.number(BALLOON_WAS_ASKED.as_bytes()),
            block: dictionary.number(BLOCKS_WERE_ASKED.as_bytes()),
        }
    }
}

/// What a task of a measurement found.
#[derive(Default)]
pub struct Reading {
    /// The values.
    pub row: Row,
    /// The calls that failed.
    pub errors: Vec<LibvirtError>,
    /// The domain is no longer there.
    pub is_gone: bool,
    /// Somebody else was asking it, so that libvirt left out what needs its monitor.
    pub is_busy: bool,
}

/// Reads one domain's values; each method makes its calls one after the other. When nobody waits for them any more, it
/// makes no other that needs the monitor.
#[derive(Clone)]
pub struct Reader {
    /// Whose.
    pub domain: Arc<Domain>,
    /// Where the fields' numbers come from.
    pub dictionary: SharedDictionary,
    /// The devices that its definition names.
    pub devices: Arc<Devices>,
    /// See `Marks`.
    pub marks: Marks,
}

/// Calls that belong together: they are made one after the other, and the same has to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Calls that need no monitor: a hung guest keeps their values.
    WithoutMonitor(WithoutMonitor),
    /// Calls that need the monitor.
    WithMonitor(WithMonitor),
    /// Calls that may need a monitor, of drivers whose bulk statistics stop at the state.
    CallByCall(CallByCall),
}

/// See `Step`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a call to make or not")]
pub struct WithoutMonitor {
    cpu_time: bool,
    interfaces: bool,
    information: InformationValues,
    vcpus: VcpuValues,
    snapshots: bool,
    checkpoints: bool,
}

/// See `Step`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WithMonitor {
    /// Groups of the bulk call, which comes first and does not wait.
    groups: u32,
    /// Whether the values of the balloon were not asked for and serve only as the mark.
    only_mark: bool,
    /// What a call of its own for the lone disk is to give.
    lone_disk: Option<DiskValues>,
    job: bool,
}

/// See `Step`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallByCall {
    memory: bool,
    blocks: Option<DiskValues>,
    job: bool,
}

impl Step {
    /// What has to answer.
    pub fn need(&self) -> Need {
        match self {
            Self::WithoutMonitor(_) => Need::Nothing,
            Self::WithMonitor(_) | Self::CallByCall(_) => Need::Monitor,
        }
    }
}

/// The steps for a domain with so many disks. What the survey has is not among them.
pub fn plan(groups: u32, calls: u32, has_bulk: bool, disks: usize) -> Vec<Step> {
    let has = |bit: u32| groups & bit != 0;
    let wants = |bit: u32| calls & bit != 0;
    let without = WithoutMonitor {
        cpu_time: wants(call::CPU_TIME) || has(CPU) && !has_bulk,
        interfaces: has(INTERFACE) && !has_bulk,
        information: InformationValues {
            balloon: has(BALLOON) && !has_bulk,
            vcpus: has(VCPU) && !has_bulk,
        },
        vcpus: VcpuValues { placement: wants(call::VCPU_PLACEMENT), usage: has(VCPU) && !has_bulk },
        snapshots: wants(call::SNAPSHOTS),
        checkpoints: wants(call::CHECKPOINTS),
    };
    let mut steps = Vec::with_capacity(2);
    if without != WithoutMonitor::default() {
        steps.push(Step::WithoutMonitor(without));
    }
    if has_bulk {
        let with = with_monitor(groups, calls, disks);
        if with != WithMonitor::default() {
            steps.push(Step::WithMonitor(with));
        }
    } else {
        let by_call = CallByCall {
            memory: has(BALLOON),
            blocks: if has(BLOCK) { Some(DiskValues::All) } else { disk_values(calls) },
            job: wants(call::JOB),
        };
        if by_call != CallByCall::default() {
            steps.push(Step::CallByCall(by_call));
        }
    }
    steps
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
fn with_monitor(groups: u32, calls: u32, disks: usize) -> WithMonitor {
    let values = disk_values(calls).filter(|_| groups & BLOCK == 0);
    let job = calls & call::JOB != 0;
    let mut bulk = groups & !bulk::GROUPS_WITHOUT_MONITOR;
    // A lone disk costs one round trip of the monitor by itself and several in the bulk group, but where nothing comes
    // before it, the bulk group needs no proof that the guest answers.
    let lone_disk = values.filter(|_| disks == 1 && bulk & BALLOON != 0);
    if values.is_some() && lone_disk.is_none() {
        bulk |= BLOCK;
    }
    let only_mark = job && bulk & BALLOON == 0 && !(bulk & BLOCK != 0 && disks > 0);
    if only_mark {
        bulk |= BALLOON;
    }
    WithMonitor { groups: bulk, only_mark, lone_disk, job }
}

impl Reader {
    /// Makes the calls of a step.
    pub fn read(&self, step: Step, log: &CallLog) -> Reading {
        match step {
            Step::WithoutMonitor(step) => self.without_monitor(step, log),
            Step::WithMonitor(step) => self.with_monitor(step, log),
            Step::CallByCall(step) => self.call_by_call(step, log),
        }
    }

    fn without_monitor(&self, step: WithoutMonitor, log: &CallLog) -> Reading {
        let (domain, dictionary) = (&self.domain, &self.dictionary);
        let mut reading = Reading::default();
        if step.cpu_time {
            self.keep(&mut reading, log, domain_calls::cpu_time(domain, log, dictionary));
        }
        if step.interfaces {
            for (index, target) in self.devices.interfaces.iter().enumerate() {
                let values = domain_calls::interface(domain, index, target, log, dictionary);
                self.keep_device(&mut reading, log, values);
            }
        }
        if step.information != InformationValues::default() {
            let values = domain_calls::information(domain, step.information, log, dictionary);
            self.keep(&mut reading, log, values);
        }
        if step.vcpus != VcpuValues::default() {
            self.keep(&mut reading, log, domain_calls::vcpus(domain, step.vcpus, log, dictionary));
        }
        if step.snapshots {
            self.keep(&mut reading, log, domain_calls::snapshots(domain, log, dictionary));
        }
        if step.checkpoints {
            self.keep(&mut reading, log, domain_calls::checkpoints(domain, log, dictionary));
        }
        reading
    }

    fn with_monitor(&self, step: WithMonitor, log: &CallLog) -> Reading {
        let mut reading = Reading::default();
        let has_values = self.bulk(step.groups, &mut reading, log);
        let has_answered = self.has_answered(&reading.row, step.groups);
        if has_values {
            reading.is_busy = match has_answered {
                Some(has_answered) => !has_answered,
                // Nothing that was asked for tells: what is left is whether somebody is at it now.
                None => domain_calls::occupation(&self.domain, log)
                    .is_ok_and(|occupation| occupation != Occupation::None),
            };
        }
        if step.only_mark {
            self.strip(&mut reading.row, BALLOON_FIELDS);
        }
        // The other calls have no NOWAIT: they are made only when the guest has just answered.
        if has_answered != Some(true) || reading.is_gone || log.is_closed() {
            return reading;
        }
        if let (Some(wanted), Some(target)) = (step.lone_disk, self.devices.disks.first()) {
            let values =
                domain_calls::block(&self.domain, 0, target, wanted, log, &self.dictionary);
            self.keep_device(&mut reading, log, values);
        }
        if step.job && !reading.is_gone && !log.is_closed() {
            let values = domain_calls::job(&self.domain, log, &self.dictionary);
            self.keep(&mut reading, log, values);
        }
        reading
    }

    /// The bulk call; false when it gave nothing. It fails as a whole when one of its groups fails, so then the core ones
    /// are asked for again, lest an odd one cost them.
    fn bulk(&self, groups: u32, reading: &mut Reading, log: &CallLog) -> bool {
        let bulk = |groups| bulk::one_domain(&self.domain, groups, log, &self.dictionary);
        let mut values = bulk(groups);
        let core = groups & CORE_GROUPS;
        if values.is_err() && core != 0 && core != groups {
            self.keep(reading, log, values);
            if reading.is_gone || log.is_closed() || !self.domain.connection().is_alive() {
                return false;
            }
            values = bulk(core);
        }
        let has_values = values.is_ok();
        self.keep(reading, log, values);
        has_values
    }

    /// Whether the guest's monitor has answered the bulk call for these groups, as far as its values tell.
    fn has_answered(&self, row: &Row, groups: u32) -> Option<bool> {
        if groups & BALLOON != 0 {
            return Some(row.has(self.marks.balloon));
        }
        (groups & BLOCK != 0 && !self.devices.disks.is_empty()).then(|| row.has(self.marks.block))
    }

    fn strip(&self, row: &mut Row, prefix: &[u8]) {
        let dictionary = lock(&self.dictionary);
        row.numbers.retain(|(field, _)| !dictionary.string(*field).starts_with(prefix));
    }

    /// For drivers whose bulk statistics stop at the state.
    fn call_by_call(&self, step: CallByCall, log: &CallLog) -> Reading {
        let (domain, dictionary) = (&self.domain, &self.dictionary);
        let mut reading = Reading::default();
        if step.memory {
            self.keep(&mut reading, log, domain_calls::memory(domain, log, dictionary));
        }
        if let Some(wanted) = step.blocks {
            for (index, target) in self.devices.disks.iter().enumerate() {
                if log.is_closed() {
                    return reading;
                }
                let values = domain_calls::block(domain, index, target, wanted, log, dictionary);
                self.keep_device(&mut reading, log, values);
            }
        }
        if step.job && !log.is_closed() {
            self.keep(&mut reading, log, domain_calls::job(domain, log, dictionary));
        }
        reading
    }

    /// As `keep`. A device that libvirt does not know was detached since its definition was read.
    fn keep_device(&self, reading: &mut Reading, log: &CallLog, values: Result<Row, LibvirtError>) {
        match values {
            Err(error) if error.code == code::INVALID_ARGUMENT => {}
            other => self.keep(reading, log, other),
        }
    }

    fn keep(&self, reading: &mut Reading, log: &CallLog, values: Result<Row, LibvirtError>) {
        match values {
            Ok(row) => reading.row.append(row),
            // What the driver cannot give is absent, and asking for it is no failure.
            Err(error) if error.is_unsupported() => {}
            Err(error) if domain_calls::has_gone(&self.domain, &error, log) => {
                reading.is_gone = true;
            }
            Err(error) => reading.errors.push(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u32 = (1 << 11) - 1;

    #[test]
    fn nothing_is_planned_for_what_the_survey_has() {
        let groups = bulk::GROUPS_WITHOUT_MONITOR;
        assert_eq!(plan(groups, 0, true, 1), []);
        assert_eq!(plan(0, 0, true, 1), []);
        assert_eq!(plan(0, 0, false, 1), []);
    }

    #[test]
    fn calls_without_monitor_are_a_step_of_their_own() {
        let calls = call::CPU_TIME | call::VCPU_PLACEMENT | call::SNAPSHOTS | call::CHECKPOINTS;
        for has_bulk in [true, false] {
            let steps = plan(0, calls, has_bulk, 1);
            let expected = WithoutMonitor {
                cpu_time: true,
                vcpus: VcpuValues { placement: true, usage: false },
                snapshots: true,
                checkpoints: true,
                ..WithoutMonitor::default()
            };
            assert_eq!(steps, [Step::WithoutMonitor(expected)]);
            assert_eq!(steps[0].need(), Need::Nothing);
        }
    }

    #[test]
    fn what_has_no_nowait_comes_after_a_group_that_shows_that_the_guest_answers() {
        let (counters, job) = (call::BLOCK_COUNTERS, call::JOB);
        let times = call::BLOCK_TIMES;
        let (few, all) = (Some(DiskValues::Counters), Some(DiskValues::All));
        let cases = [
            // groups, calls, disks; groups asked, only the mark, lone disk, job
            (BALLOON, counters, 1, BALLOON, false, few, false),
            (BALLOON, counters, 2, BALLOON | BLOCK, false, None, false),
            (BALLOON, counters, 0, BALLOON | BLOCK, false, None, false),
            (BALLOON | BLOCK, counters, 1, BALLOON | BLOCK, false, None, false),
            (0, counters, 1, BLOCK, false, None, false),
            (VCPU, counters, 1, VCPU | BLOCK, false, None, false),
            (0, job, 1, BALLOON, true, None, true),
            (VCPU, job, 1, VCPU | BALLOON, true, None, true),
            (BALLOON, job, 1, BALLOON, false, None, true),
            (BLOCK, job, 1, BLOCK, false, None, true),
            (BLOCK, job, 0, BLOCK | BALLOON, true, None, true),
            (0, counters | job, 1, BLOCK, false, None, true),
            (BALLOON, counters | job, 1, BALLOON, false, few, true),
            (BALLOON, times, 1, BALLOON, false, all, false),
            (BALLOON, counters | times, 1, BALLOON, false, all, false),
            (BALLOON | BLOCK, times, 1, BALLOON | BLOCK, false, None, false),
            (0, times, 1, BLOCK, false, None, false),
        ];
        for (groups, calls, disks, asked, only_mark, lone_disk, job) in cases {
            let expected = WithMonitor { groups: asked, only_mark, lone_disk, job };
            let steps = plan(groups, calls, true, disks);
            assert_eq!(steps, [Step::WithMonitor(expected)], "{groups:#x} {calls:#x} {disks}");
            assert_eq!(steps[0].need(), Need::Monitor);
        }
    }

    #[test]
    fn a_driver_without_bulk_statistics_is_asked_call_by_call() {
        let steps = plan(ALL, call::BLOCK_COUNTERS | call::JOB, false, 1);
        let without = WithoutMonitor {
            cpu_time: true,
            interfaces: true,
            information: InformationValues { balloon: true, vcpus: true },
            vcpus: VcpuValues { placement: false, usage: true },
            ..WithoutMonitor::default()
        };
        let by_call = CallByCall { memory: true, blocks: Some(DiskValues::All), job: true };
        assert_eq!(steps, [Step::WithoutMonitor(without), Step::CallByCall(by_call)]);
        for (calls, values) in [
            (call::BLOCK_COUNTERS, DiskValues::Counters),
            (call::BLOCK_TIMES, DiskValues::All),
            (call::BLOCK_COUNTERS | call::BLOCK_TIMES, DiskValues::All),
        ] {
            let by_call = CallByCall { blocks: Some(values), ..CallByCall::default() };
            assert_eq!(plan(0, calls, false, 2), [Step::CallByCall(by_call)], "{calls:#x}");
        }
    }
}
