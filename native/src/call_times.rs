//! How often libvirt's functions are called, and how long that takes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What calls of one function took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallTime {
    /// How many there were.
    pub count: u32,
    /// How long they took, all together.
    pub duration: Duration,
}

/// Times by the name of the function.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CallTimes(BTreeMap<&'static str, CallTime>);

/// The calls of one task. The worker that makes them writes it; whoever waits for the task closes it, also while
/// a call is out.
#[derive(Debug, Default)]
pub struct CallLog(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    started: Option<Instant>,
    finished: Vec<(&'static str, Duration)>,
    out: Option<(&'static str, Instant)>,
    is_closed: bool,
}

impl CallTimes {
    /// Counts one call.
    pub fn count(&mut self, call: &'static str, duration: Duration) {
        let time = self.0.entry(call).or_default();
        time.count += 1;
        time.duration += duration;
    }

    /// Counts the calls of a task that is over: one that is still out counts with the time until it was given up,
    /// which was `limit` after the first call began, or `deadline`.
    pub fn close(&mut self, log: &CallLog, limit: Duration, deadline: Instant) {
        let mut log = log.lock();
        log.is_closed = true;
        for (call, duration) in log.finished.drain(..) {
            self.count(call, duration);
        }
        if let (Some((call, since)), Some(started)) = (log.out.take(), log.started) {
            let given_up = Instant::now().min(started + limit).min(deadline);
            self.count(call, given_up.saturating_duration_since(since));
        }
    }

    /// The times by function.
    pub fn into_inner(self) -> BTreeMap<&'static str, CallTime> {
        self.0
    }
}

impl CallLog {
    /// Makes a call and notes how long it took.
    pub fn time<R>(&self, call: &'static str, work: impl FnOnce() -> R) -> R {
        let since = Instant::now();
        {
            let mut log = self.lock();
            log.started.get_or_insert(since);
            log.out = Some((call, since));
        }
        let result = work();
        let mut log = self.lock();
        // A log that was closed meanwhile has counted it already.
        if let Some((call, since)) = log.out.take() {
            log.finished.push((call, since.elapsed()));
        }
        result
    }

    /// Whether nobody waits for the task any more: what a further call would give is not wanted.
    pub fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn far() -> Instant {
        Instant::now() + Duration::from_secs(3_600)
    }

    #[test]
    fn calls_of_one_function_are_counted_together() {
        let mut times = CallTimes::default();
        for _ in 0..2 {
            let log = CallLog::default();
            assert_eq!(log.time("a", || 7), 7);
            log.time("b", || ());
            log.time("a", || ());
            times.close(&log, Duration::MAX / 2, far());
            times.close(&log, Duration::MAX / 2, far());
        }
        let counts: Vec<_> =
            times.into_inner().into_iter().map(|(call, time)| (call, time.count)).collect();
        assert_eq!(counts, [("a", 4), ("b", 2)]);
    }

    #[test]
    fn a_call_that_is_out_counts_once_with_the_time_until_it_was_given_up() {
        let mut times = CallTimes::default();
        let log = CallLog::default();
        assert!(!log.is_closed());
        log.time("hangs", || times.close(&log, Duration::ZERO, far()));
        assert!(log.is_closed());
        times.close(&log, Duration::ZERO, far());
        let expected = CallTime { count: 1, duration: Duration::ZERO };
        assert_eq!(times.into_inner(), BTreeMap::from([("hangs", expected)]));
    }
}
