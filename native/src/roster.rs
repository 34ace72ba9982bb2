//! Which domains there are: libvirt's last list, kept up by what events told since.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use crate::answers::{Appeared, Verdict};
use crate::connection::{Connection, Domain, Run, Uuid, uuid_text};
use crate::events::Lifecycle;
use crate::pool::Subject;
use crate::row::Row;

/// libvirt's list of domains.
pub struct List {
    /// The domains with their states.
    pub domains: Vec<(Arc<Domain>, Row)>,
    /// When it was asked for.
    pub asked_at: Instant,
}

/// A domain of the roster.
pub struct Surveyed {
    /// Stands for this one run of this domain, and is never given to another.
    pub handle: u32,
    /// Whom to ask.
    pub domain: Arc<Domain>,
    /// What the survey has found out about it.
    pub row: Row,
    /// Whether it may be asked further: it is `Complete` when libvirt has answered about it in this scrape.
    pub verdict: Verdict,
}

/// Why a run has ended, in the order of `virDomainEventStoppedDetailType` in libvirt-domain.h.
pub const END_REASONS: [&str; 8] =
    ["shutdown", "destroyed", "crashed", "migrated", "saved", "failed", "from_snapshot", "unknown"];

/// The position of the last one, which stands for all that are not listed.
const UNKNOWN_END: usize = END_REASONS.len() - 1;

/// The domains that are known now, and the runs that they stand for.
#[derive(Default)]
pub struct Roster {
    /// By handle.
    domains: BTreeMap<u32, Surveyed>,
    /// The handles of all runs that are known, also while there is no connection.
    runs: HashMap<Run, u32>,
    next_handle: u32,
    /// The last handle that the other side knows.
    told: u32,
    /// When the list that it stands on was asked for; none while there has been no list.
    pub listed_at: Option<Instant>,
    /// Whether that list is of this scrape.
    pub is_of_this_scrape: bool,
    /// How many runs have ended since the start, by `END_REASONS`.
    pub ended: [u32; END_REASONS.len()],
    /// What events have told since the last list was begun, and when: it may have been past the domain already.
    since_list: Vec<(Instant, Change)>,
}

/// Whose run has ended, and the one that has begun in its place, if one has.
type Change = (Uuid, Option<Arc<Domain>>);

impl Roster {
    /// The domains, in the order in which they have appeared.
    pub fn domains(&self) -> impl Iterator<Item = &Surveyed> {
        self.domains.values()
    }

    /// Whether the domains can be asked.
    pub fn is_connected(&self) -> bool {
        self.domains().next().is_none_or(|one| one.domain.connection.is_alive())
    }

    /// A domain of it.
    pub fn get(&self, handle: u32) -> Option<&Surveyed> {
        self.domains.get(&handle)
    }

    /// The runs of a connection, by libvirt's ids.
    pub fn runs_of(&self, connection: &Connection) -> HashMap<i32, Arc<Domain>> {
        let domains = self.domains().map(|one| &one.domain);
        let running = domains.filter(|one| one.run.id >= 0);
        let own = running.filter(|one| one.connection.serial == connection.serial);
        own.map(|one| (one.run.id, Arc::clone(one))).collect()
    }

    /// Whether a run of a domain is on it.
    pub fn has(&self, subject: Subject) -> bool {
        matches!(subject, Subject::Domain(run) if self.runs.contains_key(&run))
    }

    /// Takes a list over, and what events have told since it was begun. Values are of the scrape that asked for them, so
    /// they are left out when that is over.
    pub fn adopt(&mut self, list: List, is_of_this_scrape: bool) {
        if self.listed_at.is_some_and(|listed_at| list.asked_at < listed_at) {
            // It was lost for a time, and another one was made meanwhile.
            return;
        }
        let runs = std::mem::take(&mut self.runs);
        self.domains.clear();
        self.listed_at = Some(list.asked_at);
        self.is_of_this_scrape = is_of_this_scrape;
        for (domain, row) in list.domains {
            let handle = runs.get(&domain.run).copied();
            let row = if is_of_this_scrape { row } else { Row::default() };
            self.add(handle, domain, row);
        }
        for (noted_at, change) in std::mem::take(&mut self.since_list) {
            if noted_at >= list.asked_at {
                self.apply(noted_at, change, &runs);
            }
        }
    }

    /// Takes over what events have told. What they told of another connection's domains is known from its list.
    pub fn note(&mut self, lifecycle: Vec<Lifecycle>, connection: &Arc<Connection>) {
        for event in lifecycle {
            let change = match event {
                Lifecycle::Stopped(uuid, reason, serial) if serial == connection.serial => {
                    let reason = usize::try_from(reason).unwrap_or(UNKNOWN_END).min(UNKNOWN_END);
                    self.ended[reason] += 1;
                    (uuid, None)
                }
                Lifecycle::Started(domain) if domain.connection.serial == connection.serial => {
                    (domain.run.uuid, Some(domain))
                }
                _ => continue,
            };
            self.apply(Instant::now(), change, &HashMap::new());
        }
    }

    /// Values and verdicts are of one scrape.
    pub fn begin_scrape(&mut self) {
        self.is_of_this_scrape = false;
        for surveyed in self.domains.values_mut() {
            surveyed.row = Row::default();
        }
    }

    /// Notes what a domain said; it has gone when there is no verdict.
    pub fn judge(&mut self, handle: u32, row: Row, verdict: Verdict) {
        if let Some(surveyed) = self.domains.get_mut(&handle) {
            surveyed.row = row;
            surveyed.verdict = verdict;
        }
    }

    /// Takes the domains off that have gone.
    pub fn remove_gone(&mut self) {
        self.domains.retain(|_, one| {
            let has_gone = one.verdict == Verdict::Gone;
            if has_gone {
                self.runs.remove(&one.domain.run);
            }
            !has_gone
        });
    }

    /// Lets go of the domains, whose connection is of no use any more. Their handles stay what they are.
    pub fn disconnect(&mut self) {
        self.listed_at = None;
        self.domains.clear();
        self.since_list.clear();
    }

    /// Those of the domains that the other side does not know yet; it does from now on.
    pub fn introduce(&mut self) -> Vec<Appeared> {
        let told = std::mem::replace(&mut self.told, self.next_handle);
        let new = self.domains.range(told.saturating_add(1)..).map(|(_, surveyed)| surveyed);
        new.map(|Surveyed { handle, domain, .. }| Appeared {
            handle: *handle,
            uuid: uuid_text(&domain.run.uuid),
            id: domain.run.id,
            name: domain.name(),
        })
        .collect()
    }

    fn add(&mut self, handle: Option<u32>, domain: Arc<Domain>, row: Row) {
        let handle = handle.unwrap_or_else(|| {
            self.next_handle += 1;
            self.next_handle
        });
        self.runs.insert(domain.run, handle);
        let surveyed = Surveyed { handle, domain, row, verdict: Verdict::Complete };
        self.domains.insert(handle, surveyed);
    }

    fn apply(&mut self, noted_at: Instant, change: Change, runs: &HashMap<Run, u32>) {
        let (uuid, started) = &change;
        self.end(*uuid, started.as_ref().map(|domain| domain.run.id));
        if let Some(domain) = started
            && !self.runs.contains_key(&domain.run)
        {
            self.add(runs.get(&domain.run).copied(), Arc::clone(domain), Row::default());
        }
        self.since_list.push((noted_at, change));
    }

    /// Takes off the runs of a domain but for one, and but for one that is none: when it is shut off.
    fn end(&mut self, uuid: Uuid, but: Option<i32>) {
        let stays =
            |run: Run| run.uuid != uuid || Some(run.id) == but || run.id < 0 && but.is_none();
        self.domains.retain(|_, one| stays(one.domain.run));
        self.runs.retain(|&run, _| stays(run));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::bulk;
    use crate::call_log::CallLog;
    use crate::caller::Caller;
    use crate::connection::test_connection;

    #[test]
    fn a_list_takes_what_events_have_told_since_it_was_begun_and_nothing_older() {
        let connection = test_connection();
        let (log, dictionary) = (CallLog::default(), Arc::default());
        let caller = Caller { connection: &connection, log: &log, dictionary: &dictionary };
        let domains = || bulk::list(caller, false, &HashMap::new()).expect("there is a list");
        let ended = Lifecycle::Stopped(domains()[0].0.run.uuid, 0, connection.serial);
        let mut roster = Roster::default();
        let before = Instant::now();
        roster.note(vec![ended], &connection);
        roster.adopt(List { domains: domains(), asked_at: before }, true);
        assert_eq!(roster.domains().count(), 0);
        let asked_at = Instant::now() + Duration::from_millis(1);
        roster.adopt(List { domains: domains(), asked_at }, true);
        let values: Vec<_> = roster.domains().map(|one| one.row.numbers.len()).collect();
        assert_eq!(values, [domains()[0].1.numbers.len()]);
        roster.adopt(List { domains: Vec::new(), asked_at: before }, true);
        assert_eq!(roster.domains().count(), 1, "an older list came later");
    }
}
