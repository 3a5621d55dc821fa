//! The last resort: a pass that outlives its time, or a request to stop, is ended from outside.
//!
//! A database that accepts a connection and then says nothing would hold a pass for ever, and
//! with it the lock. Death at any instant is safe, so there is nothing to save first.

use std::process;
use std::thread;
use std::time::{Duration, Instant};

use crate::clock::StopFlag;
use crate::exit::Exit;

/// What a pass may take beyond its deadline: connecting, the last commit, the closing record.
const OVERTIME_MAX: Duration = Duration::from_secs(45);
/// What it may take after a signal: the batch in hand.
const STOP_MAX: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(100);

/// Stands by, in a thread of its own, until the process ends.
pub fn start(deadline: Duration, stop: StopFlag) {
    let guard = move || {
        let started = Instant::now();
        let mut asked_at = None;
        loop {
            thread::sleep(POLL);
            if let Some(signal) = stop.signal() {
                let asked_at = *asked_at.get_or_insert_with(Instant::now);
                if asked_at.elapsed() > STOP_MAX {
                    process::exit(Exit::of_signal(signal).code().into());
                }
            } else if started.elapsed() > deadline.saturating_add(OVERTIME_MAX) {
                log::error!(
                    "given up {} s after the time it may take: the database does not answer; \
                     check its load, locks and disk",
                    OVERTIME_MAX.as_secs()
                );
                process::exit(Exit::Database.code().into());
            }
        }
    };
    if let Err(error) = thread::Builder::new().name("watchdog".to_owned()).spawn(guard) {
        log::warn!("a pass that hangs will not be ended: {error}");
    }
}
