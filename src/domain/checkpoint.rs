//! How far a market is complete, and the walk that was interrupted, if there is one.

use std::time::Duration;

use super::evidence::Anchor;
use super::scope::Scope;
use super::time::Timestamp;

/// A half-open span of exchange time `[from, until)` with edges on whole seconds.
///
/// The exchange takes its bounds in whole seconds, so a finer edge would claim a part of a
/// second that no request can ask for. It may be empty: then it only re-reads the overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    from: Option<Timestamp>,
    until: Timestamp,
}

impl Window {
    /// `from` of `None` means everything that the exchange still serves. `None` when an edge
    /// is not a whole second or the window would end before it begins.
    pub fn new(from: Option<Timestamp>, until: Timestamp) -> Option<Window> {
        let is_whole = from.is_none_or(|from| from.floor() == from) && until.floor() == until;
        let is_forward = from.is_none_or(|from| from <= until);
        (is_whole && is_forward).then_some(Window { from, until })
    }

    /// The first instant of the window; `None` when it has no lower edge.
    pub fn from(self) -> Option<Timestamp> {
        self.from
    }

    /// The first instant after the window.
    pub fn until(self) -> Timestamp {
        self.until
    }
}

/// A walk that some pass began and did not finish: what the next pass does first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenWalk {
    /// What is being read, newest to oldest.
    pub window: Window,
    /// Where the exchange said to go on; `None` when only time can tell.
    pub cursor: Option<String>,
    /// How far down it has come: the oldest trade time of the pages that led to the cursor;
    /// `None` when no trade was seen yet.
    pub low: Option<Timestamp>,
    /// The newest trade that it began with: the market's anchor once it is finished.
    pub anchor: Option<Anchor>,
}

/// What the last walk of a quiet market heard: its anchor, and nothing above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// Up to when, by the answer's `Date`.
    pub until: Timestamp,
    /// Which pass heard it.
    pub run: i64,
}

/// How much was still to be read of a market that was never level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The span of time, at the least so far.
    pub span: Duration,
    /// Our clock when it last became less.
    pub since: Timestamp,
}

impl Left {
    /// From what is stored; `None` if that is no span.
    pub fn of_seconds(seconds: f64, since: Timestamp) -> Option<Left> {
        Duration::try_from_secs_f64(seconds).ok().map(|span| Left { span, since })
    }
}

/// One row of `ingestion_checkpoints`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// What it is about: a market, or the tape.
    pub scope: Scope,
    /// Where the claim of completeness begins; `None`: wherever the exchange's live data began.
    pub complete_from: Option<Timestamp>,
    /// Everything before this instant is stored; `None` until the first walk is finished.
    pub complete_until: Option<Timestamp>,
    /// Up to when the exchange was heard to have nothing more. It says how fresh the market is
    /// and is never the edge of a walk.
    pub checked_until: Option<Timestamp>,
    /// The newest trade below which nothing is missing: the next walk has to be shown it again.
    pub anchor: Option<Anchor>,
    /// A trade below all that the next walk reads, or the first there is: a list that reaches down to it was not cut short.
    pub footing: Option<Timestamp>,
    /// What the last walk heard, if that was silence.
    pub quiet: Option<Quiet>,
    /// Up to where silence was heard by walks of two passes.
    pub carried_until: Option<Timestamp>,
    /// The newest trade stored of this market.
    pub last_trade_at: Option<Timestamp>,
    /// When a window was last completed.
    pub last_success_at: Option<Timestamp>,
    /// The interrupted walk.
    pub walk: Option<OpenWalk>,
    /// Our clock when the market was first read to the end.
    pub level_at: Option<Timestamp>,
    /// What was left to read as long as it never was.
    pub left: Option<Left>,
    /// Passes in a row that failed on this market.
    pub failures: u32,
    /// What the last of them said.
    pub last_error: Option<String>,
    /// When the market was found settled and fully drained; from then on it is left alone.
    pub retired_at: Option<Timestamp>,
    /// When the market was first selected: staleness counts from here until the first window is complete.
    pub first_selected_at: Timestamp,
    /// Counts the changes of this row: the compare-and-set that makes overlapping passes harmless.
    pub version: i64,
}

impl Checkpoint {
    /// The checkpoint of what was never read.
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

    /// Up to where the market may be taken for complete when it joins the tape or retires: its
    /// claim, or as far as two passes heard that it was quiet. The claim of a market that never traded is no more than
    /// what one pass heard.
    pub fn carried_until(&self) -> Option<Timestamp> {
        let claim = self.complete_until.filter(|_| self.anchor.is_some());
        claim.max(self.carried_until)
    }

    /// Up to when the market is known: by its claim, or by what was heard.
    pub fn known_until(&self) -> Option<Timestamp> {
        self.complete_until.max(self.checked_until)
    }

    /// The state after `change` of this run, one version on; with it what turned out to be false.
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
                // A cursor that a failure followed is not trusted again: time leads to the same rows.
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
            // The tape goes on where two passes had agreed.
            if *is_ridden && self.carried_until.is_some_and(|until| window.from() <= Some(until)) {
                self.carried_until = self.carried_until.max(Some(window.until()));
            }
        }
        // A rider may have been shown newer ones by an earlier reading.
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

    /// Two passes have to hear it: the earlier of the two edges is as far as they agree.
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

    /// A walk that began at a claim which is false begins at what is proven.
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
                    // Nothing is left of the claim: this is a first reading again.
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

/// What the storing of some rows does to their market's checkpoint.
///
/// Only a [`Walk`](super::walk::Walk) makes one, and only together with the rows that
/// justify it: see [`Batch`](super::batch::Batch).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The rows down to `low` are stored; the walk goes on below.
    Continues(OpenWalk),
    /// Every row of the window is stored.
    Completed(Completed),
    /// A market that was taken for silent shows trades: it is being read for the first time again.
    Spoke,
    /// Something that was claimed is false.
    Corrected(Correction),
}

/// A window of which every row is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Completed {
    /// `None`: nothing was ever traded, as far as one answer says, and nothing is claimed.
    pub(super) window: Option<Window>,
    /// The newest trade that it began with; `None`: the one before stays.
    pub(super) anchor: Option<Anchor>,
    /// A trade below all that the next walk reads.
    pub(super) footing: Option<Timestamp>,
    /// Whether it reaches up to the newest trade that there is.
    pub(super) level: Option<Level>,
    /// Whether the market rode on the tape, which showed trades of others.
    pub(super) is_ridden: bool,
}

/// How a window ends that reaches up to the newest trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    /// By the answer's `Date`, if it showed the anchor of before and nothing above it.
    pub(super) quiet_until: Option<Timestamp>,
}

/// Something that is stored so that later passes need not look again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// `complete_until`.
    CompleteUntil,
    /// `complete_from`.
    CompleteFrom,
    /// `checked_until`.
    CheckedUntil,
    /// The anchor; with the trade that takes its place.
    Anchor(Option<Anchor>),
}

impl Claim {
    /// The column that holds it.
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
    /// Which one.
    pub claim: Claim,
    /// The instant that was claimed.
    pub claimed: Timestamp,
    /// The one that is proven.
    pub proven: Option<Timestamp>,
    /// Why, in words.
    pub reason: &'static str,
}

/// Everything one batch does to one checkpoint, in the order it happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) progress: Vec<Progress>,
    pub(super) last_trade_at: Option<Timestamp>,
    pub(super) checked_until: Option<Timestamp>,
    pub(super) left: Option<Duration>,
    pub(super) error: Option<String>,
    pub(super) retirement: Option<Retirement>,
}

/// Passes stop reading a market, or read it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retirement {
    /// It is over and fully drained.
    Retire,
    /// It was taken for over, and trades again.
    Reopen,
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
