//! The tape: one walk on behalf of many markets. Pure.
//!
//! All trades of the exchange come by on it. A [`TapeWalk`] keeps those of its riders, or all of
//! them when the tape itself was selected, and completes every rider's window when its own is
//! complete, in the same commit.

use std::collections::HashMap;
use std::time::Duration;

use super::checkpoint::{Checkpoint, Progress, Window};
use super::page::{Page, Row, Rules, Step, TapeSpan, Walked};
use super::time::Timestamp;
use super::trade::Ticker;
use super::walk::{Walk, believed_until};

/// The longest window read from the tape, unless the rules name one. After an outage the oldest comes first, so that what is
/// complete grows slice by slice and staleness falls while the rest is still being read.
pub const SLICE: Duration = Duration::from_secs(600);

/// How far back the tape is read when it was never read and nobody said otherwise.
pub const BEGINS_AGO: Duration = Duration::from_secs(3_600);

const EARLIEST: Timestamp = Timestamp::from_micros(i64::MIN);
const LATEST: Timestamp = Timestamp::from_micros(i64::MAX);

/// A level market that is read from the tape.
#[derive(Clone, Copy, Debug)]
struct Rider {
    complete_from: Option<Timestamp>,
    /// Up to where it is complete: its window begins here.
    from: Timestamp,
    /// From here on its late trades are looked for.
    edge: Timestamp,
    as_of: Option<Timestamp>,
}

/// The walk of the tape in one pass.
#[derive(Clone, Debug)]
pub struct TapeWalk {
    walk: Walk,
    rules: Rules,
    /// Whether every trade is kept and the tape has a checkpoint of its own.
    keeps_all: bool,
    riders: HashMap<Ticker, Rider>,
    /// Riders whose checkpoint claims more than it can know: they have to be read alone.
    misdated: Vec<Ticker>,
    is_begun: bool,
    /// From where on the completed windows were read; they follow each other without a gap.
    reads_from: Timestamp,
    trades: u64,
}

impl TapeWalk {
    /// A walk that keeps everything and completes the tape's own checkpoint, with riders.
    ///
    /// A tape that was never read begins `since`, or else [`BEGINS_AGO`].
    pub fn of_all(tape: &Checkpoint, riders: &[Checkpoint], rules: Rules) -> TapeWalk {
        TapeWalk::new(tape, true, riders, rules)
    }

    /// A walk from where the first of the riders is complete; it keeps what is theirs.
    ///
    /// It leaves no trace of its own: interrupted, the riders stand where the last slice left them.
    pub fn of_riders(riders: &[Checkpoint], rules: Rules) -> TapeWalk {
        let from = riders.iter().filter_map(|rider| rider.complete_until).min();
        let first_selected_at = from.unwrap_or(Timestamp::from_seconds(0));
        let nobody = Checkpoint {
            complete_until: from,
            ..Checkpoint::first(Ticker::tape(), first_selected_at)
        };
        TapeWalk::new(&nobody, false, riders, rules)
    }

    fn new(tape: &Checkpoint, keeps_all: bool, riders: &[Checkpoint], rules: Rules) -> TapeWalk {
        let rules = Rules { slice: rules.slice.or(Some(SLICE)), ..rules };
        let walk = Walk::new(tape, rules).beginning_ago(BEGINS_AGO);
        let rider = |row: &Checkpoint| {
            let (complete_from, from, as_of) =
                (row.complete_from, row.complete_until?, row.complete_as_of);
            let edge = from.before(rules.overlap).max(complete_from.unwrap_or(EARLIEST));
            Some((row.market.clone(), Rider { complete_from, from, edge, as_of }))
        };
        let riders = riders.iter().filter_map(rider).collect();
        TapeWalk {
            walk,
            rules,
            keeps_all,
            riders,
            misdated: Vec::new(),
            is_begun: false,
            reads_from: LATEST,
            trades: 0,
        }
    }

    /// What to ask next, or how it ended.
    pub fn next(&self) -> Step {
        self.walk.next()
    }

    /// The walk itself, for its cursor.
    pub fn walk_mut(&mut self) -> &mut Walk {
        &mut self.walk
    }

    /// Riders whose checkpoint a misdated answer had completed, told once: they did not ride.
    pub fn take_misdated(&mut self) -> Vec<Ticker> {
        std::mem::take(&mut self.misdated)
    }

    /// Takes the answer to the request in hand; says what to store and what that proves.
    pub fn page(&mut self, page: Page) -> Walked {
        if !std::mem::replace(&mut self.is_begun, true) {
            self.leave_out_misdated(&page);
        }
        let lower_edge = self.walk.lower_edge();
        let mut walked = self.walk.page(page);
        self.trades += u64::try_from(walked.rows.len()).unwrap_or(u64::MAX);
        let completed = walked.progress.first().and_then(|(_, progress)| match progress {
            Progress::Completed { window, opened_at } => Some((*window, *opened_at)),
            Progress::Continues(_) => None,
        });
        if !self.keeps_all {
            walked.progress.clear();
            // What names no market may be anybody's, also a rider's.
            walked
                .rejected
                .retain(|row| row.market.is_tape() || self.riders.contains_key(&row.market));
        }
        walked.rows.retain_mut(|row| self.keep(row));
        if let Some((window, opened_at)) = completed {
            let span = lower_edge.map(|edge| window.until().since(edge)).unwrap_or_default();
            walked.tape = Some(TapeSpan { trades: std::mem::take(&mut self.trades), span });
            self.reads_from = self.reads_from.min(lower_edge.unwrap_or(EARLIEST));
            walked.progress.extend(self.complete_riders(window, opened_at));
        }
        walked
    }

    fn leave_out_misdated(&mut self, page: &Page) {
        let settle = self.rules.settle;
        let is_misdated = |rider: &Rider| {
            rider
                .as_of
                .is_some_and(|as_of| believed_until(rider.from, as_of, page, settle).is_some())
        };
        self.misdated =
            self.riders.extract_if(|_, rider| is_misdated(rider)).map(|(t, _)| t).collect();
    }

    /// Whether the row is anybody's; says of a rider's whether it is late.
    fn keep(&self, row: &mut Row) -> bool {
        let at = row.event.trade.traded_at;
        match self.riders.get(&row.event.trade.market) {
            Some(rider) => {
                row.late_by = (at < rider.from).then(|| rider.from.since(at));
                // Below its first window a rider claims nothing, unless everything is kept.
                self.keeps_all || rider.complete_from.is_none_or(|from| from <= at)
            }
            None => self.keeps_all,
        }
    }

    /// The window is read: so is what each rider lacked of it.
    fn complete_riders(
        &mut self,
        window: Window,
        opened_at: Option<Timestamp>,
    ) -> Vec<(Ticker, Progress)> {
        let until = window.until();
        let mut progress = Vec::with_capacity(self.riders.len());
        for (ticker, rider) in &mut self.riders {
            // One that is complete from somewhere above the window's beginning gains the rest of it.
            // One from below gains nothing: there would be a gap, if only in its late trades.
            let is_covered = self.reads_from <= rider.edge;
            let Some(gained) = Window::new(Some(rider.from), until).filter(|_| is_covered) else {
                continue;
            };
            rider.from = until;
            progress.push((ticker.clone(), Progress::Completed { window: gained, opened_at }));
        }
        progress
    }
}

#[cfg(test)]
#[path = "tape_tests.rs"]
mod tests;
