//! Threads, and what they share.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

/// Locks what threads share. It is consistent at every point where a panic could happen, so poison says nothing.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a signal, until then at most.
pub fn wait<'a, T>(
    signal: &Condvar,
    guard: MutexGuard<'a, T>,
    until: Instant,
) -> MutexGuard<'a, T> {
    let pause = until.saturating_duration_since(Instant::now());
    signal.wait_timeout(guard, pause).unwrap_or_else(PoisonError::into_inner).0
}

/// Starts a thread with this name; what the work gives is dropped.
///
/// # Errors
/// The system's reason.
pub fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<()> {
    thread::Builder::new().name(String::from(name)).spawn(work).map(drop)
}
