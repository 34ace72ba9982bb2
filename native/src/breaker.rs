//! Gives something up for a time when it has hung: for one minute, then two, four and so on.

use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// From how many times on the pause doubles no more: about an hour.
const MAXIMUM_DOUBLINGS: u32 = 6;

/// Whether something is given up for now, and until when.
#[derive(Debug, Default)]
pub struct Breaker {
    /// How often it has hung since it last answered.
    times: u32,
    until: Option<Instant>,
}

impl Breaker {
    /// Whether it is given up for now.
    pub fn is_open(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Notes that it has hung.
    pub fn open(&mut self, now: Instant) {
        self.until = Some(now + FIRST_PAUSE * 2_u32.pow(self.times.min(MAXIMUM_DOUBLINGS)));
        self.times += 1;
    }

    /// Notes that it has answered.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_until_there_is_an_answer() {
        let mut breaker = Breaker::default();
        let mut now = Instant::now();
        assert!(!breaker.is_open(now));
        for minutes in [1, 2, 4, 8, 16, 32, 64, 64] {
            breaker.open(now);
            assert!(breaker.is_open(now + Duration::from_secs(60 * minutes - 1)));
            now += Duration::from_secs(60 * minutes);
            assert!(!breaker.is_open(now));
        }
        breaker.reset();
        breaker.open(now);
        assert!(!breaker.is_open(now + FIRST_PAUSE));
    }
}
