//! Definitions of domains.

use std::collections::HashMap;
use std::time::Duration;

use crate::answers::{Description, Verdict};
use crate::coordinator::{Coordinator, LATE};
use crate::error::LibvirtError;
use crate::pool::Need;
use crate::reading::Reading;
use crate::roster::Surveyed;
use crate::threads::lock;

/// How long the definition of a guest may take that is arriving by migration: some releases of libvirt wait for the job
/// that the guest has until it is here.
const ARRIVAL_LIMIT: Duration = Duration::from_millis(100);

/// Source: `VIR_DOMAIN_PAUSED` and `VIR_DOMAIN_PAUSED_MIGRATION` in libvirt-domain.h.
const PAUSED: f64 = 3.0;
const PAUSED_MIGRATION: f64 = 2.0;

impl Coordinator {
    /// Reads the definitions of surveyed domains, of those that libvirt has answered about in this scrape. One that was lost
    /// with its connection is read once more on another.
    pub fn describe(&mut self, handles: &[u32]) -> Vec<Description> {
        let mut definitions = self.read_definitions(handles);
        let lost = |handle: &u32| definitions.get(handle).is_some_and(|one| one.is_lost);
        let again: Vec<u32> = handles.iter().copied().filter(lost).collect();
        let known = handles.iter().copied().filter(|&handle| self.roster.get(handle).is_some());
        let known: Vec<u32> = known.collect();
        if !again.is_empty() && self.renew(true) {
            definitions.extend(self.read_definitions(&again));
        }
        known.into_iter().map(|handle| description(handle, definitions.remove(&handle))).collect()
    }

    fn read_definitions(&mut self, handles: &[u32]) -> HashMap<u32, Reading> {
        let surveyed = handles.iter().filter_map(|&handle| self.roster.get(handle));
        let tasks = surveyed.filter(|one| one.verdict == Verdict::Complete).map(|surveyed| {
            let (need, limit) = if self.is_arriving(surveyed) {
                (Need::Arrival, ARRIVAL_LIMIT.min(self.question.call_limit))
            } else if surveyed.domain.connection.definition_needs_job() {
                (Need::Monitor, self.question.call_limit)
            } else {
                (Need::Nothing, self.question.call_limit)
            };
            let task = self.domain_task(&surveyed.domain, need, limit, |caller| {
                let mut reading = Reading::from_call(caller.xml(), |one, xml| one.xml = Some(xml));
                if reading.xml.is_none() {
                    // It may have waited in vain for the job that somebody has.
                    reading.judge(Verdict::Busy);
                }
                reading
            });
            (surveyed.handle, task)
        });
        let tasks = tasks.collect();
        self.run(tasks).into_iter().collect()
    }

    fn is_arriving(&self, surveyed: &Surveyed) -> bool {
        let mut dictionary = lock(&self.dictionary);
        let mut value = |field: &[u8]| surveyed.row.value(dictionary.number(field));
        value(b"state.state") == Some(PAUSED) && value(b"state.reason") == Some(PAUSED_MIGRATION)
    }
}

fn description(handle: u32, reading: Option<Reading>) -> Description {
    let mut reading = reading.unwrap_or_default();
    if reading.verdict == Verdict::Late {
        reading.fail(LibvirtError::own("virDomainGetXMLDesc", LATE));
    }
    let failure = reading.errors.pop();
    let failure = failure.map(|error| LibvirtError { handle: Some(handle), ..error });
    Description { handle, xml: reading.xml, failure }
}
