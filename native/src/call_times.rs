//! How often libvirt's functions are called, and how long that takes.

use std::collections::BTreeMap;
use std::time::Duration;

use napi_derive::napi;

/// What calls of one function took.
#[napi(object, object_from_js = false)]
#[derive(Clone, Debug, PartialEq)]
pub struct CallTime {
    /// The function.
    pub call: &'static str,
    /// How many there were.
    pub count: u32,
    /// How long they took, all together.
    pub seconds: f64,
}

/// Times by the name of the function.
#[derive(Debug, Default)]
pub struct CallTimes(BTreeMap<&'static str, CallTime>);

impl CallTimes {
    /// Counts calls, by function.
    pub fn count(&mut self, calls: impl IntoIterator<Item = (&'static str, Duration)>) {
        for (call, duration) in calls {
            let time = self.0.entry(call).or_insert(CallTime { call, count: 0, seconds: 0.0 });
            time.count += 1;
            time.seconds += duration.as_secs_f64();
        }
    }

    /// The times since this was last asked for.
    pub fn take(&mut self) -> Vec<CallTime> {
        std::mem::take(&mut self.0).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_one_function_are_counted_together() {
        let mut times = CallTimes::default();
        times.count(["a", "b"].map(|call| (call, Duration::from_secs(1))));
        times.count([("a", Duration::from_secs(2))]);
        let time = |call, count, seconds| CallTime { call, count, seconds };
        assert_eq!(times.take(), [time("a", 2, 3.0), time("b", 1, 1.0)]);
        assert!(times.take().is_empty());
    }
}
