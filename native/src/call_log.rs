//! What a task does, and what it has found so far.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::reading::Reading;
use crate::threads::lock;

/// What a task does. The worker that makes its calls writes it; whoever waits for the task closes it, also while a call is
/// out.
#[derive(Debug, Default)]
pub struct CallLog {
    calls: Mutex<Calls>,
    reading: Mutex<Reading>,
}

#[derive(Debug, Default)]
struct Calls {
    started: Option<Instant>,
    finished: Vec<(&'static str, Duration)>,
    out: Option<(&'static str, Instant)>,
    is_closed: bool,
}

impl CallLog {
    /// Makes a call and notes how long it took.
    pub fn time<R>(&self, call: &'static str, work: impl FnOnce() -> R) -> R {
        let since = Instant::now();
        {
            let mut calls = lock(&self.calls);
            calls.started.get_or_insert(since);
            calls.out = Some((call, since));
        }
        let result = work();
        let mut calls = lock(&self.calls);
        // A log that was closed meanwhile has counted it already.
        if let Some((call, since)) = calls.out.take() {
            calls.finished.push((call, since.elapsed()));
        }
        result
    }

    /// What the calls of a task that is over took. One that is still out has taken the time until it was given up, which was
    /// `limit` after the first call began, or `deadline`.
    pub fn close(&self, limit: Duration, deadline: Instant) -> Vec<(&'static str, Duration)> {
        let mut calls = lock(&self.calls);
        calls.is_closed = true;
        let mut taken = std::mem::take(&mut calls.finished);
        if let (Some((call, since)), Some(started)) = (calls.out.take(), calls.started) {
            let given_up = Instant::now().min(started + limit).min(deadline);
            taken.push((call, given_up.saturating_duration_since(since)));
        }
        taken
    }

    /// Whether nobody waits for the task any more: what a further call would give is not wanted.
    pub fn is_closed(&self) -> bool {
        lock(&self.calls).is_closed
    }

    /// What the calls that have returned have found; a later one that hangs does not cost it. It must not be held during a call.
    pub fn reading(&self) -> MutexGuard<'_, Reading> {
        lock(&self.reading)
    }

    /// Takes that.
    pub fn take_reading(&self) -> Reading {
        std::mem::take(&mut *self.reading())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn far() -> Instant {
        Instant::now() + Duration::from_secs(3_600)
    }

    #[test]
    fn a_call_that_has_returned_counts_once() {
        let log = CallLog::default();
        assert_eq!(log.time("a", || 7), 7);
        log.time("b", || ());
        let calls = log.close(Duration::MAX / 2, far());
        assert_eq!(calls.iter().map(|(call, _)| *call).collect::<Vec<_>>(), ["a", "b"]);
        assert!(log.close(Duration::MAX / 2, far()).is_empty());
    }

    #[test]
    fn a_call_that_is_out_counts_once_with_the_time_until_it_was_given_up() {
        let log = CallLog::default();
        assert!(!log.is_closed());
        log.time("hangs", || {
            assert_eq!(log.close(Duration::ZERO, far()), [("hangs", Duration::ZERO)]);
        });
        assert!(log.is_closed());
        assert!(log.close(Duration::ZERO, far()).is_empty());
    }
}
