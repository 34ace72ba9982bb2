//! What a measurement has found, and the columns that are made of it.

use std::collections::BTreeMap;

use crate::answers::{Entity, Measurement, Status, Verdict};
use crate::call_times::CallTime;
use crate::coordinator::{LATE, NOT_ASKED};
use crate::dictionary::Additions;
use crate::error::LibvirtError;
use crate::host::HostCall;
use crate::reading::Reading;
use crate::roster::Surveyed;
use crate::row::Row;

/// What a measurement has found so far.
#[derive(Default)]
pub struct Findings {
    /// By handle.
    pub domains: BTreeMap<u32, Reading>,
    entities: Vec<Entity>,
    /// What failed.
    pub failures: Failures,
    /// Those whose values of many domains at once have not come.
    pub missed: Vec<u32>,
}

impl Findings {
    /// What the survey knows about these domains.
    pub fn new<'a>(surveyed: impl Iterator<Item = &'a Surveyed>) -> Self {
        let domains = surveyed.map(|Surveyed { handle, row, verdict, .. }| {
            let (verdict, row) = (*verdict, row.clone());
            (*handle, Reading { verdict, row, ..Reading::default() })
        });
        Self { domains: domains.collect(), ..Self::default() }
    }

    /// Adds what a task found about a domain.
    pub fn add(&mut self, handle: u32, reading: Reading) {
        if let Some(result) = self.domains.get_mut(&handle) {
            result.add(reading);
        }
    }

    /// Adds what a task about the host found; one that found nothing has failed.
    pub fn add_host(&mut self, call: HostCall, reading: Reading) {
        let missing = match reading.verdict {
            Verdict::Late => Some(LATE),
            Verdict::Quarantined | Verdict::Withheld => Some(NOT_ASKED),
            _ => None,
        };
        let own = missing.map(|reason| LibvirtError::own(call.function, reason));
        self.entities.extend(reading.entities);
        self.failures.count(None, reading.errors.into_iter().chain(own));
    }

    /// Notes a verdict about a domain; the worse counts.
    pub fn judge(&mut self, handle: u32, verdict: Verdict) {
        if let Some(result) = self.domains.get_mut(&handle) {
            result.judge(verdict);
        }
    }

    /// The domains of which this holds.
    pub fn which(&self, is_wanted: impl Fn(&Reading) -> bool) -> Vec<u32> {
        let found = self.domains.iter().filter(|(_, result)| is_wanted(result));
        found.map(|(&handle, _)| handle).collect()
    }

    /// The columns of these domains; those that are not known any more have gone.
    pub fn into_measurement(
        mut self,
        handles: &[u32],
        additions: Additions,
        call_times: Vec<CallTime>,
        status: Status,
    ) -> Measurement {
        for (&handle, result) in &mut self.domains {
            result.row.sort();
            if result.verdict != Verdict::Gone {
                self.failures.count(Some(handle), std::mem::take(&mut result.errors));
            }
        }
        let results: Vec<_> = handles.iter().map(|handle| self.domains.get(handle)).collect();
        let verdict = |result: &Reading| result.verdict;
        let verdicts = results.iter().map(|result| result.map_or(Verdict::Gone, verdict) as u8);
        let numbers = Column::of(&results, |row| &row.numbers);
        let texts = Column::of(&results, |row| &row.texts);
        Measurement {
            verdicts: verdicts.collect::<Vec<u8>>().into(),
            offsets: numbers.offsets.into(),
            fields: numbers.fields.into(),
            values: numbers.values.into(),
            text_offsets: texts.offsets.into(),
            text_fields: texts.fields.into(),
            texts: texts.values.into(),
            dictionary_base: additions.base,
            dictionary_strings: additions.strings,
            entities: self.entities,
            failures: self.failures.0.into_values().collect(),
            call_times,
            status,
        }
    }
}

/// Calls that failed, counted by what they have in common.
#[derive(Default)]
pub struct Failures(BTreeMap<(&'static str, i32), LibvirtError>);

impl Failures {
    /// Counts errors of a domain, or of none.
    pub fn count(&mut self, handle: Option<u32>, errors: impl IntoIterator<Item = LibvirtError>) {
        for mut error in errors {
            let subjects = std::mem::take(&mut error.subjects);
            let first = LibvirtError { handle, count: 0, ..error };
            let failure = self.0.entry((first.call, first.code)).or_insert(first);
            failure.count += 1;
            failure.handles.extend(handle.filter(|handle| !failure.handles.contains(handle)));
            failure.subjects.extend(subjects);
        }
    }
}

/// The numbers, or the texts, of all domains, with where those of each domain begin and the last one's end.
struct Column<T> {
    offsets: Vec<u32>,
    fields: Vec<u32>,
    values: Vec<T>,
}

impl<T: Copy + 'static> Column<T> {
    fn of<'a>(results: &[Option<&'a Reading>], of_row: impl Fn(&'a Row) -> &'a [(u32, T)]) -> Self {
        let mut column = Self { offsets: vec![0], fields: Vec::new(), values: Vec::new() };
        for result in results {
            for &(field, value) in result.map_or(&[][..], |result| of_row(&result.row)) {
                column.fields.push(field);
                column.values.push(value);
            }
            let end = u32::try_from(column.fields.len());
            column.offsets.push(end.expect("libvirt's replies are at most 32 MiB"));
        }
        column
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_that_are_alike_are_counted_with_the_first_of_them() {
        let mut failures = Failures::default();
        let error = || LibvirtError { code: 38, ..LibvirtError::own("virDomainGetInfo", "no") };
        failures.count(Some(7), vec![error(), error()]);
        failures.count(Some(8), vec![error(), LibvirtError::own("virDomainGetInfo", "late")]);
        let counts: Vec<_> = failures
            .0
            .into_values()
            .map(|failure| (failure.code, failure.count, failure.handle))
            .collect();
        assert_eq!(counts, [(0, 1, Some(8)), (38, 3, Some(7))]);
    }
}
