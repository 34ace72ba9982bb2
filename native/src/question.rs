//! Questions: what TypeScript wants to know, and until when. `src/libvirt/hypervisor.ts` has the same on the other side.

use std::time::{Duration, Instant};

use napi_derive::napi;

use crate::pool::Limits;

/// No call is begun with less time than this: what it would give could not be waited for.
const LEAST_TIME: Duration = Duration::from_millis(100);

/// What is wanted, and how long it may take.
#[napi(object)]
#[derive(Clone, Copy, Debug, Default)]
pub struct QuestionOptions {
    /// How long the answer may take.
    pub timeout_milliseconds: f64,
    /// How long one call of it may take.
    pub call_timeout_milliseconds: f64,
    /// Groups of `virDomainStatsTypes`, added.
    pub groups: u32,
    /// Calls about domains, see `calls.json`, added.
    pub domain_calls: u32,
    /// Calls about the host, see `HostCall`, added.
    pub host_calls: u32,
    /// Whether domains that are shut off are listed.
    pub inactive: bool,
}

/// What is wanted, and until when.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// What is wanted.
    pub wanted: QuestionOptions,
    /// When the answer is due.
    pub deadline: Instant,
    /// How long one call may take.
    pub call_limit: Duration,
}

impl Question {
    /// A question that is put now.
    pub fn now(wanted: QuestionOptions) -> Self {
        let timeout = milliseconds(wanted.timeout_milliseconds);
        let call_limit = milliseconds(wanted.call_timeout_milliseconds);
        Self { wanted, deadline: Instant::now() + timeout, call_limit }
    }

    /// The limits of all calls.
    pub fn limits(&self) -> Limits {
        let least = LEAST_TIME.min(self.call_limit / 5);
        let last_start = self.deadline.checked_sub(least).unwrap_or(self.deadline);
        Limits { last_start, end: self.deadline }
    }

    /// The limit of the list of domains, without which others wait.
    pub fn list_limit(&self) -> Duration {
        self.call_limit / 2
    }

    /// The limit of a call that takes a moment, and after which there is another way.
    pub fn short_limit(&self) -> Duration {
        self.call_limit / 4
    }
}

/// Not a number, negative and absurdly large ones become the nearest sensible duration.
fn milliseconds(value: f64) -> Duration {
    const LONGEST: f64 = 3_600_000.0;
    Duration::from_secs_f64(value.clamp(0.0, LONGEST).max(0.0) / 1_000.0)
}
