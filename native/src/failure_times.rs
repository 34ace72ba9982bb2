//! When domains failed.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// How long a domain that failed counts as one that fails again and again: longer than any sensible scrape interval.
const FAILURE_MEMORY: Duration = Duration::from_secs(600);

/// When domains failed, by handle. Scrapes for several choices of collectors alternate, so that a domain which fails for one
/// of them all the time need not have failed at the last measurement.
#[derive(Default)]
pub struct FailureTimes(HashMap<u32, Instant>);

impl FailureTimes {
    /// Notes that these domains failed now; returns those that had not failed lately.
    pub fn note(&mut self, now: Instant, handles: impl Iterator<Item = u32>) -> HashSet<u32> {
        self.0.retain(|_, last| now.duration_since(*last) < FAILURE_MEMORY);
        handles.filter(|&handle| self.0.insert(handle, now).is_none()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
