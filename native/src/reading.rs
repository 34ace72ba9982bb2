//! What a task has found.

use crate::answers::{Entity, Verdict};
use crate::error::{LibvirtError, Result};
use crate::row::Row;

/// What a task has found of its domain, of several domains or of the host. Several of the same domain become one.
#[derive(Debug, Default)]
pub struct Reading {
    /// How complete it is.
    pub verdict: Verdict,
    /// The values of the domain that was asked about.
    pub row: Row,
    /// The values of several domains that were asked about at once, by handle.
    pub rows: Vec<(u32, Row)>,
    /// The definition of the domain.
    pub xml: Option<String>,
    /// What was found of the host.
    pub entities: Vec<Entity>,
    /// The calls that failed.
    pub errors: Vec<LibvirtError>,
    /// Whether the connection was lost meanwhile, so that the daemon may still be at it.
    pub is_lost: bool,
    /// The domain's cgroup has no CPU time, though it runs.
    pub lacks_cgroup: bool,
}

impl Reading {
    /// Nothing, for this reason.
    pub fn of(verdict: Verdict) -> Self {
        Self { verdict, ..Self::default() }
    }

    /// What a call gave, put in its place by `keep`, or how it failed.
    pub fn from_call<T>(given: Result<T>, keep: impl FnOnce(&mut Self, T)) -> Self {
        let mut reading = Self::default();
        match given {
            Ok(value) => keep(&mut reading, value),
            Err(error) => reading.fail(error),
        }
        reading
    }

    /// Whether whoever was asked has answered all that it was asked, if only by a refusal, and nobody was at it.
    pub fn is_whole(&self) -> bool {
        self.verdict < Verdict::Busy
    }

    /// Notes a verdict; the worse counts.
    pub fn judge(&mut self, verdict: Verdict) {
        self.verdict = self.verdict.max(verdict);
    }

    /// Keeps a failure.
    pub fn fail(&mut self, error: LibvirtError) {
        self.errors.push(error);
        self.judge(Verdict::Failed);
    }

    /// Adds what another task found about the same domain.
    pub fn add(&mut self, mut other: Self) {
        self.row.append(other.row);
        self.errors.append(&mut other.errors);
        self.judge(other.verdict);
    }

    /// Adds what a task found that was asked again because the domain was busy. Of values that both have, the later count.
    pub fn add_again(&mut self, other: Self) {
        let earlier = std::mem::take(&mut self.row);
        self.verdict = if self.errors.is_empty() { Verdict::Complete } else { Verdict::Failed };
        self.add(other);
        self.row.append(earlier);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_busy_domain_says_when_it_is_asked_again_takes_the_place_of_what_it_did_not() {
        let row = |numbers: &[(u32, f64)]| Row { numbers: numbers.to_vec(), texts: Vec::new() };
        let reading = |numbers: &[(u32, f64)], verdict| Reading {
            row: row(numbers),
            verdict,
            ..Reading::default()
        };
        let failed = LibvirtError::own("virDomainGetCPUStats", "");
        for (errors, again, verdict, values) in [
            (
                vec![],
                reading(&[(2, 5.0), (3, 7.0)], Verdict::Complete),
                Verdict::Complete,
                &[5.0, 7.0][..],
            ),
            (vec![failed], reading(&[(2, 5.0)], Verdict::Complete), Verdict::Failed, &[5.0][..]),
            (vec![], reading(&[(2, 4.0)], Verdict::Busy), Verdict::Busy, &[4.0][..]),
            (vec![], Reading::of(Verdict::Late), Verdict::Late, &[3.0][..]),
        ] {
            let mut result = Reading { errors, ..Reading::default() };
            result.add(reading(&[(2, 3.0)], Verdict::Busy));
            assert_eq!(result.verdict, Verdict::Busy);
            result.add_again(again);
            result.row.sort();
            assert_eq!(result.verdict, verdict);
            let numbers: Vec<f64> = result.row.numbers.iter().map(|(_, value)| *value).collect();
            assert_eq!(numbers, values);
        }
    }
}
