//! The completeness of a market, and its interrupted walk if there is one.

use std::time::Duration;

use super::evidence::Anchor;
use super::scope::Scope;
use super::time::Timestamp;

/// A half-open span of exchange time `[from, until)` with edges on whole seconds.
///
/// The exchange takes its bounds in whole seconds, so a finer edge would claim a part of a second that no request can
/// ask for. A window may be empty: then it only re-reads the overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    from: Option<Timestamp>,
    until: Timestamp,
}

impl Window {
    /// A window. A `from` of `None` means everything that the exchange still serves. The result is `None` if an edge
    /// is not a whole second or if the window would end before it begins.
    pub fn new(from: Option<Timestamp>, until: Timestamp) -> Option<Window> {
        let is_whole = from.is_none_or(|from| from.floor() == from) && until.floor() == until;
        let is_forward = from.is_none_or(|from| from <= until);
        (is_whole && is_forward).then_some(Window { from, until })
    }

    /// The first instant of the window; `None` if it has no lower edge.
    pub fn from(self) -> Option<Timestamp> {
        self.from
    }

    /// The first instant after the window.
    pub fn until(self) -> Timestamp {
        self.until
    }
}

/// A walk that a pass began and did not finish. The next pass continues it first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenWalk {
    /// The window that is being read, newest trade first.
    pub window: Window,
    /// The cursor of the next page; `None` if the walk can only go on by time.
    pub cursor: Option<String>,
    /// The oldest trade time of the pages that led to the cursor; `None` if no trade was seen yet.
    pub low: Option<Timestamp>,
    /// The newest trade at the start of the walk. It becomes the anchor of the market when the walk is finished.
    pub anchor: Option<Anchor>,
}

/// The silence that the last walk of a quiet market heard: its anchor, and nothing above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// The end of the silence, by the `Date` of the answer.
    pub until: Timestamp,
    /// The pass that heard it.
    pub run: i64,
}

/// The amount that was still to be read of a market that was never level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The span of time that is left, at its smallest so far.
    pub span: Duration,
    /// Our clock when the span last became smaller.
    pub since: Timestamp,
}

impl Left {
    /// Reads the stored value; `None` if it is not a span of time.
    pub fn of_seconds(seconds: f64, since: Timestamp) -> Option<Left> {
        Duration::try_from_secs_f64(seconds).ok().map(|span| Left { span, since })
    }
}

/// One row of `ingestion_checkpoints`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The market or the tape.
    pub scope: Scope,
    /// The start of the claim; `None` if it starts with the first trade that the exchange served from its live tier.
    pub complete_from: Option<Timestamp>,
    /// Everything before this instant is stored; `None` until the first walk is finished.
    pub complete_until: Option<Timestamp>,
    /// The instant up to which the exchange was heard to have nothing newer. It decides how fresh the market is, and
    /// it is never the edge of a walk.
    pub checked_until: Option<Timestamp>,
    /// The newest trade below which nothing is missing. An answer to the next walk has to show it again.
    pub anchor: Option<Anchor>,
    /// A trade below everything that the next walk reads, or the first trade of the market. A list that reaches down
    /// to it was not cut short.
    pub footing: Option<Timestamp>,
    /// The silence that the last walk heard; None if it showed new trades.
    pub quiet: Option<Quiet>,
    /// The instant up to which walks of two passes heard silence.
    pub carried_until: Option<Timestamp>,
    /// The time of the newest stored trade of this market.
    pub last_trade_at: Option<Timestamp>,
    /// Our clock when a window was last completed.
    pub last_success_at: Option<Timestamp>,
    /// The interrupted walk; None if there is none.
    pub walk: Option<OpenWalk>,
    /// Our clock when the market was first read to the end.
    pub level_at: Option<Timestamp>,
    /// The amount that was left to read; None once the market was level.
    pub left: Option<Left>,
    /// The number of passes in a row that failed on this market.
    pub failures: u32,
    /// The error of the last of these passes.
    pub last_error: Option<String>,
    /// Our clock when the market was found settled and fully drained. From then on it is not read.
    pub retired_at: Option<Timestamp>,
    /// Our clock when the market was first selected: staleness counts from here until the first window is complete.
    pub first_selected_at: Timestamp,
    /// The number of changes of this row, for the compare-and-set that makes overlapping passes harmless.
    pub version: i64,
}

impl Checkpoint {
    /// The checkpoint of a scope that was never read.
    pub fn first(scope: impl Into<Scope>, now: Timestamp) -> Checkpoint {
        Checkpoint {
            scope: scope.into(),
            complete_from: None,
            complete_until: None,
            checked_until: None,
            anchor: None,
            footing: None,
            quiet: None,
            carried_until: None,
            last_trade_at: None,
            last_success_at: None,
            walk: None,
            level_at: None,
            left: None,
            failures: 0,
            last_error: None,
            retired_at: None,
            first_selected_at: now,
            version: 0,
        }
    }

    /// The instant up to which the market counts as complete when it joins the tape or retires: its claim, or the
    /// silence that two passes heard. A claim without an anchor does not count: of a market that never traded, only
    /// one pass has heard silence.
    pub fn carried_until(&self) -> Option<Timestamp> {
        let claim = self.complete_until.filter(|_| self.anchor.is_some());
        claim.max(self.carried_until)
    }

    /// The instant up to which the market is known, by its claim or by a heard silence.
    pub fn known_until(&self) -> Option<Timestamp> {
        self.complete_until.max(self.checked_until)
    }

    /// The state after `change` of this run, with the next version, and the claims that turned out to be false.
    #[must_use]
    pub(super) fn after(
        &self,
        change: &Change,
        run: i64,
        now: Timestamp,
    ) -> (Checkpoint, Vec<Correction>) {
        let mut next = self.clone();
        let mut corrections = Vec::new();
        next.version += 1;
        next.last_trade_at = next.last_trade_at.max(change.last_trade_at);
        for progress in &change.progress {
            match progress {
                Progress::Continues(walk) => next.walk = Some(walk.clone()),
                Progress::Completed(completed) => next.complete(completed, run, now),
                Progress::Spoke => next.level_at = None,
                Progress::Corrected(correction) => {
                    next.correct(correction);
                    corrections.push(correction.clone());
                }
            }
        }
        next.checked_until = next.checked_until.max(change.checked_until);
        if next.level_at.is_some() {
            next.left = None;
        } else if let Some(span) = change.left
            && next.left.is_none_or(|left| span < left.span)
        {
            next.left = Some(Left { span, since: now });
        }
        match change.retirement {
            Some(Retirement::Retire) => next.retired_at = Some(now),
            Some(Retirement::Reopen) => next.retired_at = None,
            None => {}
        }
        if let Some(error) = &change.error {
            next.failures = next.failures.saturating_add(1);
            next.last_error = Some(error.clone());
            if let Some(walk) = &mut next.walk {
                // The cursor is dropped, because a failure followed it. Reading by time finds the same rows.
                walk.cursor = None;
            }
        }
        (next, corrections)
    }

    fn complete(&mut self, completed: &Completed, run: i64, now: Timestamp) {
        let Completed { window, anchor, footing, level, is_ridden } = completed;
        if let Some(window) = window {
            if self.complete_until.is_none() {
                self.complete_from = window.from();
            }
            self.complete_until = self.complete_until.max(Some(window.until()));
            // The tape continues the silence on which two passes had agreed.
            if *is_ridden && self.carried_until.is_some_and(|until| window.from() <= Some(until)) {
                self.carried_until = self.carried_until.max(Some(window.until()));
            }
        }
        // An earlier reading may have shown the rider a newer trade already.
        let is_newer = |new: &&Anchor| self.anchor.as_ref().is_none_or(|old| old.at <= new.at);
        if let Some(newer) = anchor.as_ref().filter(is_newer) {
            self.anchor = Some(newer.clone());
        }
        self.footing = *footing;
        self.walk = None;
        self.last_success_at = Some(now);
        self.failures = 0;
        self.last_error = None;
        let Some(level) = level else { return };
        self.level_at.get_or_insert(now);
        if let Some(until) = level.quiet_until {
            self.hear_silence(Quiet { until, run });
        } else {
            self.quiet = None;
        }
    }

    /// Records a silence. Two passes have to hear it: they agree up to the earlier of their two edges.
    fn hear_silence(&mut self, heard: Quiet) {
        match self.quiet {
            Some(before) if before.run == heard.run => {}
            Some(before) => {
                self.carried_until = self.carried_until.max(Some(before.until.min(heard.until)));
                self.quiet = Some(heard);
            }
            None => self.quiet = Some(heard),
        }
    }

    /// Moves the start of a walk that began at a false claim down to the proven instant.
    fn widen_walk(&mut self, correction: &Correction) {
        let claimed = Some(correction.claimed.floor());
        let Some(walk) = self.walk.as_mut().filter(|walk| walk.window.from() == claimed) else {
            return;
        };
        let proven = correction.proven.map(Timestamp::floor);
        if let Some(window) = Window::new(proven, walk.window.until()) {
            walk.window = window;
        }
    }

    fn correct(&mut self, correction: &Correction) {
        match &correction.claim {
            Claim::CompleteUntil => {
                self.widen_walk(correction);
                self.complete_until = correction.proven;
                self.checked_until = None;
                self.carried_until = None;
                self.quiet = None;
                if correction.proven.is_none_or(|until| Some(until) < self.complete_from) {
                    self.complete_from = correction.proven;
                }
                if self.complete_until == self.complete_from {
                    // Nothing is left of the claim, so this is a first reading again.
                    (self.level_at, self.left) = (None, None);
                }
            }
            Claim::CompleteFrom => self.complete_from = correction.proven,
            Claim::CheckedUntil => self.checked_until = correction.proven,
            Claim::Anchor(anchor) => {
                self.anchor.clone_from(anchor);
                self.carried_until = None;
                self.quiet = None;
            }
        }
    }
}

/// The change of a checkpoint once some rows of its market are stored.
///
/// Only a [`Walk`](super::walk::Walk) makes one, and only together with the rows that justify it: see
/// [`Batch`](super::batch::Batch).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The rows down to `low` are stored, and the walk continues below.
    Continues(OpenWalk),
    /// Every row of the window is stored.
    Completed(Completed),
    /// A market that was believed silent shows trades, so it is read for the first time again.
    Spoke,
    /// A claim is false.
    Corrected(Correction),
}

/// A window whose rows are all stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Completed {
    /// The window. `None` if there is no claim: one answer says that the market never traded.
    pub(super) window: Option<Window>,
    /// The newest trade at the start of the walk; `None` keeps the earlier anchor.
    pub(super) anchor: Option<Anchor>,
    /// A trade below everything that the next walk reads.
    pub(super) footing: Option<Timestamp>,
    /// Set if the window reaches up to the newest trade of the market.
    pub(super) level: Option<TopEdge>,
    /// Whether the market was a rider of the tape, which showed trades of other markets.
    pub(super) is_ridden: bool,
}

/// The end of a window that reaches up to the newest trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TopEdge {
    /// The `Date` of the answer, if it showed the earlier anchor and nothing above it.
    pub(super) quiet_until: Option<Timestamp>,
}

/// A stored claim, which later passes need not check again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// `complete_until`.
    CompleteUntil,
    /// `complete_from`.
    CompleteFrom,
    /// `checked_until`.
    CheckedUntil,
    /// The anchor, and the trade that replaces it.
    Anchor(Option<Anchor>),
}

impl Claim {
    /// The column of the claim.
    pub fn as_str(&self) -> &'static str {
        match self {
            Claim::CompleteUntil => "complete_until",
            Claim::CompleteFrom => "complete_from",
            Claim::CheckedUntil => "checked_until",
            Claim::Anchor(_) => "anchor_at",
        }
    }
}

/// A claim that was found false: one row of `claim_corrections`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// The claim that was false.
    pub claim: Claim,
    /// The instant that was claimed.
    pub claimed: Timestamp,
    /// The instant that is proven; None if none is.
    pub proven: Option<Timestamp>,
    /// The reason, for people.
    pub reason: &'static str,
}

/// All changes of one checkpoint in one batch, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) progress: Vec<Progress>,
    pub(super) last_trade_at: Option<Timestamp>,
    pub(super) checked_until: Option<Timestamp>,
    pub(super) left: Option<Duration>,
    pub(super) error: Option<String>,
    pub(super) retirement: Option<Retirement>,
}

/// The decision to stop reading a market, or to read it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retirement {
    /// The market is over and fully drained.
    Retire,
    /// The market was believed to be over and trades again.
    Reopen,
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
