//! The last resort: a pass that outlives its time, or a request to stop, is ended from outside.
//!
//! A database that accepts a connection and then says nothing would hold a pass for ever, and
//! with it the lock. So would a pipe for the log that nobody reads: a thread hangs in the middle of
//! a line then, and holds whatever else wants to write. Therefore the watchdog itself writes
//! nothing, takes no lock and leaves nothing to be flushed. Death at any instant is safe, so
//! there is nothing to save first.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::clock::{Clock, StopFlag};
use crate::config::{OnSignal, Patience};
use crate::exit::Exit;

/// What a pass may take beyond its deadline: connecting, the last commit, the closing record.
const OVERTIME_MAX: Duration = Duration::from_secs(45);
/// What it may take after a signal: the batch in hand.
const STOP_MAX: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(100);
/// What its last words may take, by the machine's clock.
const WORDS_MAX: Duration = Duration::from_secs(1);

/// Has signals told to the program as its command wants them, and a watchdog stand by where one is wanted.
pub fn guard(patience: Patience, stop: &StopFlag, clock: &Arc<dyn Clock>) {
    let longest = match patience {
        Patience { longest, on_signal: OnSignal::FinishBatch } => {
            heed_signals(stop);
            // Who does not end in time after a signal is ended all the same.
            longest.unwrap_or(Duration::MAX)
        }
        Patience { longest: Some(longest), on_signal: OnSignal::EndAtOnce } => longest,
        Patience { longest: None, on_signal: OnSignal::EndAtOnce } => return,
    };
    start(longest, stop.clone(), Arc::clone(clock));
}

/// SIGINT and SIGTERM are told to the command, which then ends.
fn heed_signals(stop: &StopFlag) {
    for (signal, number) in [(SIGINT, 2), (SIGTERM, 15)] {
        if let Err(error) = signal_hook::flag::register_usize(signal, stop.number(), number) {
            log::warn!("signal {number} will not be waited for: {error}");
        }
    }
}

/// Stands by, in a thread of its own, until the process ends.
fn start(longest: Duration, stop: StopFlag, clock: Arc<dyn Clock>) {
    let guard = move || {
        let started_at = clock.elapsed();
        let mut asked_at = None;
        loop {
            clock.poll(POLL);
            let now = clock.elapsed();
            if let Some(signal) = stop.signal() {
                if now.saturating_sub(*asked_at.get_or_insert(now)) > STOP_MAX {
                    end(Exit::of_signal(signal));
                }
            } else if now.saturating_sub(started_at) > longest.saturating_add(OVERTIME_MAX) {
                say_last_words();
                end(Exit::Database);
            }
        }
    };
    if let Err(error) = thread::Builder::new().name("watchdog".to_owned()).spawn(guard) {
        log::warn!("a pass that hangs will not be ended: {error}");
    }
}

/// Says why, in a thread that may hang in it; nobody waits for that thread longer than a moment.
fn say_last_words() {
    let (said, heard) = sync_channel(1);
    let words = move || {
        log::error!(
            "given up {} s after the time it may take: the database does not answer, or nobody reads \
             what is printed; check the database's load, locks and disk",
            OVERTIME_MAX.as_secs()
        );
        // Nobody may be waiting any more.
        let _ = said.send(());
    };
    if thread::Builder::new().name("last words".to_owned()).spawn(words).is_ok() {
        // Too late or never: it is not waited for.
        let _ = heard.recv_timeout(WORDS_MAX);
    }
}

/// Without a word, a lock or a buffer: the usual way to exit flushes what is printed, and would hang
/// where the pass hangs.
fn end(exit: Exit) -> ! {
    signal_hook::low_level::exit(i32::from(exit.code()))
}
