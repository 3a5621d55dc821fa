//! The tape: one walk on behalf of many markets. Pure.
//!
//! All trades of the exchange come by on it. A [`TapeWalk`] keeps those of its riders, or all of
//! them when the tape itself was selected, and completes every rider's window when its own is
//! complete, in the same commit.

use std::collections::HashMap;
use std::time::Duration;

use super::checkpoint::{Checkpoint, Completed, Level, Progress, Window};
use super::evidence::Anchor;
use super::page::{Page, Row, Rules, Step, TapeSpan, Walked};
use super::scope::Scope;
use super::ticker::Ticker;
use super::time::Timestamp;
use super::walk::Walk;

/// The longest window read from the tape, unless the rules name one. After an outage the oldest comes first, so that what is
/// complete grows step by step and staleness falls while the rest is still being read.
pub const STEP: Duration = Duration::from_secs(600);

/// How far below its newest trade the tape is read when it was never read and nobody said otherwise.
pub const BEGINS_AGO: Duration = Duration::from_secs(3_600);

const EARLIEST: Timestamp = Timestamp::from_micros(i64::MIN);
const LATEST: Timestamp = Timestamp::from_micros(i64::MAX);

/// A level market that is read from the tape.
#[derive(Clone, Debug)]
struct Rider {
    complete_from: Option<Timestamp>,
    /// Up to where it is complete: its window begins here.
    from: Timestamp,
    /// From here on its late trades are looked for.
    edge: Timestamp,
    /// Its newest trade in the window being read.
    newest: Option<Anchor>,
    /// Whether no trade of it was ever seen.
    is_unseen: bool,
    /// Whether it was silent, and the tape shows a trade of it: it is read alone next, down to the bottom.
    has_spoken: bool,
}

impl Rider {
    /// Takes note of one of its trades.
    fn meet(&mut self, row: &mut Row) {
        let trade = &row.event.trade;
        let at = trade.traded_at;
        row.late_by = (at < self.from).then(|| self.from.since(at));
        if self.newest.is_none() {
            self.newest = Some(Anchor { at, id: Some(trade.trade_id.clone()) });
        }
    }
}

/// The walk of the tape in one pass.
#[derive(Clone, Debug)]
pub struct TapeWalk {
    walk: Walk,
    /// Whether every trade is kept and the tape has a checkpoint of its own.
    keeps_all: bool,
    riders: HashMap<Ticker, Rider>,
    /// From where on the completed windows were read; they follow each other without a gap.
    reads_from: Timestamp,
    trades: u64,
}

impl TapeWalk {
    /// A walk that keeps everything and completes the tape's own checkpoint, with riders.
    ///
    /// A tape that was never read begins `since`, or else [`BEGINS_AGO`].
    pub fn of_all(tape: &Checkpoint, riders: &[Checkpoint], rules: Rules) -> TapeWalk {
        TapeWalk::new(tape, None, true, riders, rules)
    }

    /// A walk from where the first of the riders is complete; it keeps what is theirs. `newest` is the
    /// newest trade of the tape that passes before were shown.
    ///
    /// It leaves no trace of its own: interrupted, the riders stand where the last step left them.
    pub fn of_riders(riders: &[Checkpoint], newest: Option<Anchor>, rules: Rules) -> TapeWalk {
        let from = riders.iter().filter_map(Checkpoint::carried_until).min();
        let first_selected_at = from.unwrap_or(Timestamp::from_seconds(0));
        let nobody = Checkpoint {
            complete_until: from,
            ..Checkpoint::first(Scope::Tape, first_selected_at)
        };
        TapeWalk::new(&nobody, newest, false, riders, rules)
    }

    fn new(
        tape: &Checkpoint,
        newest: Option<Anchor>,
        keeps_all: bool,
        riders: &[Checkpoint],
        rules: Rules,
    ) -> TapeWalk {
        let deeper = match (&tape.walk, tape.complete_until) {
            (None, Some(begins)) => riders
                .iter()
                .filter_map(Checkpoint::carried_until)
                .min()
                .map_or(Duration::ZERO, |from| begins.since(from.floor())),
            _ => Duration::ZERO,
        };
        let step = rules.step.or(Some(STEP));
        let of_tape = Rules { step, overlap: rules.overlap + deeper, ..rules };
        let mut walk = Walk::new(tape, of_tape).beginning_ago(BEGINS_AGO);
        if !keeps_all {
            walk = walk.anchored(newest);
        }
        let rider = |row: &Checkpoint| {
            let (complete_from, from) = (row.complete_from, row.carried_until()?.floor());
            let edge = from.before(rules.overlap).max(complete_from.unwrap_or(EARLIEST));
            let is_unseen = row.anchor.is_none() && row.last_trade_at.is_none();
            let rider =
                Rider { complete_from, from, edge, newest: None, is_unseen, has_spoken: false };
            Some((row.scope.market()?.clone(), rider))
        };
        let riders = riders.iter().filter_map(rider).collect();
        TapeWalk { walk, keeps_all, riders, reads_from: LATEST, trades: 0 }
    }

    /// What to ask next, or how it ended.
    pub fn next(&self) -> Step {
        self.walk.next()
    }

    /// The walk itself, for its cursor.
    pub(super) fn walk(&self) -> &Walk {
        &self.walk
    }

    pub(super) fn walk_mut(&mut self) -> &mut Walk {
        &mut self.walk
    }

    /// Takes the answer to the request in hand; says what to store and what that proves.
    pub fn page(&mut self, page: Page) -> Walked {
        let lower_edge = self.walk.lower_edge();
        let mut walked = self.walk.page(page);
        self.trades += u64::try_from(walked.rows.len()).unwrap_or(u64::MAX);
        let completed = walked.progress.iter().find_map(|(_, progress)| match progress {
            Progress::Completed(completed) => Some(completed.clone()),
            Progress::Continues(_) | Progress::Corrected(_) | Progress::Spoke => None,
        });
        if !self.keeps_all {
            walked.progress.clear();
            // What names no market may be anybody's, also a rider's.
            let is_a_riders = |market: &Ticker| self.riders.contains_key(market);
            walked.rejected.retain(|row| row.scope.market().is_none_or(is_a_riders));
        }
        for Row { event, .. } in &walked.rows {
            let (market, at) = (&event.trade.market, event.trade.traded_at);
            if !self.riders.contains_key(market) {
                let newest = walked.strangers.entry(market.clone()).or_insert(at);
                *newest = at.max(*newest);
            }
        }
        walked.rows.retain_mut(|row| self.keep(row));
        self.end_silences(&mut walked);
        if let Some(Completed { window, level, .. }) = completed {
            if let Some(window) = window {
                let span = lower_edge.map(|edge| window.until().since(edge)).unwrap_or_default();
                walked.tape = Some(TapeSpan { trades: std::mem::take(&mut self.trades), span });
            }
            self.reads_from = self.reads_from.min(lower_edge.unwrap_or(EARLIEST));
            let heard = walked.heard.pop().map(|(_, until)| until);
            if self.keeps_all {
                walked.heard.extend(heard.map(|until| (Scope::Tape, until)));
            }
            self.complete_riders(window, level, heard, &mut walked);
        }
        if self.walk.is_at_the_top() {
            // What was seen above a window that is read in steps says nothing about what is below.
            self.riders.values_mut().for_each(|rider| rider.newest = None);
        }
        walked
    }

    /// Whether the row is anybody's; says of a rider's whether it is late.
    fn keep(&mut self, row: &mut Row) -> bool {
        let trade = &row.event.trade;
        let at = trade.traded_at;
        match self.riders.get_mut(&trade.market) {
            Some(rider) => {
                rider.meet(row);
                // Below its first window a rider claims nothing, unless everything is kept.
                self.keeps_all || rider.complete_from.is_none_or(|from| from <= at)
            }
            None => self.keeps_all,
        }
    }

    /// Who was silent speaks: committed with the rows that say so, since later they are no first trades.
    fn end_silences(&mut self, walked: &mut Walked) {
        for row in &walked.rows {
            let market = &row.event.trade.market;
            let Some(rider) = self.riders.get_mut(market) else { continue };
            if rider.is_unseen && !rider.has_spoken {
                rider.has_spoken = true;
                walked.progress.push((market.clone().into(), Progress::Spoke));
            }
        }
    }

    /// The window is read: so is what each rider lacked of it.
    fn complete_riders(
        &mut self,
        window: Option<Window>,
        level: Option<Level>,
        heard: Option<Timestamp>,
        walked: &mut Walked,
    ) {
        for (ticker, rider) in &mut self.riders {
            // One that is complete from somewhere above the window's beginning gains the rest of it.
            // One from below gains nothing: there would be a gap, if only in its late trades.
            let is_covered = self.reads_from <= rider.edge;
            if !is_covered {
                continue;
            }
            let above = window.map(Window::until).filter(|until| rider.from < *until);
            let gained = above.and_then(|until| Window::new(Some(rider.from), until));
            rider.from = gained.map_or(rider.from, Window::until);
            let newest = rider.newest.take();
            // Where the tape is as silent as the pass before left it, so is the rider.
            let is_silent = gained.is_none() && newest.is_none();
            let level =
                level.map(|level| if is_silent { level } else { Level { quiet_until: None } });
            // Its list has to be read to the end before it has an anchor, and is level again.
            let (anchor, level) = if rider.has_spoken { (None, None) } else { (newest, level) };
            let completed =
                Completed { window: gained, anchor, footing: None, level, is_ridden: true };
            walked.progress.push((ticker.clone().into(), Progress::Completed(completed)));
            walked.heard.extend(heard.map(|until| (ticker.clone().into(), until)));
        }
    }
}

#[cfg(test)]
#[path = "tape_tests.rs"]
mod tests;
