//! The tape: one walk on behalf of many markets. Pure.
//!
//! All trades of the exchange are on the tape. A [`TapeWalk`] keeps those of its riders, or all of them if the tape
//! itself was selected. When its own window is complete, it completes the window of every rider in the same commit.

use std::collections::HashMap;
use std::time::Duration;

use super::checkpoint::{Checkpoint, Completed, Progress, TopEdge, Window};
use super::evidence::Anchor;
use super::page::{Next, Page, Row, Rules, TapeSpan, Walked};
use super::scope::Scope;
use super::ticker::Ticker;
use super::time::Timestamp;
use super::walk::Walk;

/// The longest window read from the tape, unless the rules set one. After an outage the oldest step comes first, so
/// the claim grows step by step and staleness falls while the rest is still being read.
pub const STEP: Duration = Duration::from_secs(600);

/// The span below its newest trade from which the tape is read if it was never read and the user set no start.
pub const BEGINS_AGO: Duration = Duration::from_secs(3_600);

const EARLIEST: Timestamp = Timestamp::from_micros(i64::MIN);
const LATEST: Timestamp = Timestamp::from_micros(i64::MAX);

/// A level market that is read from the tape.
#[derive(Clone, Debug)]
struct Rider {
    complete_from: Option<Timestamp>,
    /// The instant up to which the rider is complete: its window begins here.
    from: Timestamp,
    /// Late trades of the rider are looked for from this instant on.
    edge: Timestamp,
    /// The newest trade of the rider in the current window.
    newest: Option<Anchor>,
    /// Whether no trade of the rider was ever seen.
    is_unseen: bool,
    /// Whether the rider was silent and the tape now shows a trade of it. Its list is read alone next, to the end.
    has_spoken: bool,
}

impl Rider {
    /// Notes one trade of the rider.
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
    /// The start of the completed windows, which follow each other without a gap.
    reads_from: Timestamp,
    trades: u64,
}

impl TapeWalk {
    /// A walk that keeps every trade and completes the checkpoint of the tape, with riders.
    ///
    /// A tape that was never read begins at `since`, or else [`BEGINS_AGO`] before its newest trade.
    pub fn of_all(tape: &Checkpoint, riders: &[Checkpoint], rules: Rules) -> TapeWalk {
        TapeWalk::new(tape, None, true, riders, rules)
    }

    /// A walk that begins where the first rider is complete, and keeps the trades of the riders. `newest` is the
    /// newest trade of the tape that earlier passes were shown.
    ///
    /// The walk has no checkpoint of its own: if it is interrupted, the riders keep the state of the last step.
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

    /// The next request, or the end of the walk.
    pub fn next(&self) -> Next {
        self.walk.next()
    }

    /// The inner walk, for its cursor.
    pub(super) fn walk(&self) -> &Walk {
        &self.walk
    }

    pub(super) fn walk_mut(&mut self) -> &mut Walk {
        &mut self.walk
    }

    /// Takes the answer to the current request. Returns the rows to store and the progress that they prove.
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
            // A row that names no market may belong to any market, so also to a rider.
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
            // For a window that is read in steps, the trades above the step say nothing about the trades below.
            self.riders.values_mut().for_each(|rider| rider.newest = None);
        }
        walked
    }

    /// Whether the row is kept. Notes whether a row of a rider is late.
    fn keep(&mut self, row: &mut Row) -> bool {
        let trade = &row.event.trade;
        let at = trade.traded_at;
        match self.riders.get_mut(&trade.market) {
            Some(rider) => {
                rider.meet(row);
                // A rider claims nothing below its first window, so such rows are dropped unless every trade is kept.
                self.keeps_all || rider.complete_from.is_none_or(|from| from <= at)
            }
            None => self.keeps_all,
        }
    }

    /// Ends the silence of riders that trade. That is committed with the rows that show it, because later these would
    /// not be recognized as first trades.
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

    /// Completes the window of each rider, up to the end of the window that was read.
    fn complete_riders(
        &mut self,
        window: Option<Window>,
        level: Option<TopEdge>,
        heard: Option<Timestamp>,
        walked: &mut Walked,
    ) {
        for (ticker, rider) in &mut self.riders {
            // A rider that is complete up to an instant above the start of the window gains the rest of the window. A
            // rider that is complete only up to an instant below gains nothing: a gap would stay, at least among its
            // late trades.
            let is_covered = self.reads_from <= rider.edge;
            if !is_covered {
                continue;
            }
            let above = window.map(Window::until).filter(|until| rider.from < *until);
            let gained = above.and_then(|until| Window::new(Some(rider.from), until));
            rider.from = gained.map_or(rider.from, Window::until);
            let newest = rider.newest.take();
            // If the tape is still as silent as in the earlier pass, the rider is too.
            let is_silent = gained.is_none() && newest.is_none();
            let level =
                level.map(|level| if is_silent { level } else { TopEdge { quiet_until: None } });
            // The list of such a rider has to be read to the end before it has an anchor and is level again.
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
