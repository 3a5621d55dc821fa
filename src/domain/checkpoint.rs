//! How far a market is complete, and the walk that was interrupted, if there is one.

use super::time::Timestamp;
use super::trade::Ticker;

/// A half-open span of exchange time `[from, until)` with edges on whole seconds.
///
/// The exchange takes its bounds in whole seconds, so a finer edge would claim a part of a
/// second that no request can ask for. It may be empty: then it only re-reads the overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// The oldest trade time seen so far; `None` when no trade was seen yet.
    pub low: Option<Timestamp>,
}

/// One row of `ingestion_checkpoints`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The market.
    pub market: Ticker,
    /// Where the claim of completeness begins; `None`: wherever the exchange's live data began.
    pub complete_from: Option<Timestamp>,
    /// Everything before this instant is stored; `None` until the first walk is finished.
    pub complete_until: Option<Timestamp>,
    /// The newest trade stored by a walk of this market.
    pub last_trade_at: Option<Timestamp>,
    /// When a window was last completed.
    pub last_success_at: Option<Timestamp>,
    /// The interrupted walk.
    pub walk: Option<OpenWalk>,
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
    /// The checkpoint of a market that was never read.
    pub fn first(market: Ticker, now: Timestamp) -> Checkpoint {
        Checkpoint {
            market,
            complete_from: None,
            complete_until: None,
            last_trade_at: None,
            last_success_at: None,
            walk: None,
            failures: 0,
            last_error: None,
            retired_at: None,
            first_selected_at: now,
            version: 0,
        }
    }

    /// The state after `change`, one version on.
    #[must_use]
    pub(super) fn after(&self, change: &Change, now: Timestamp) -> Checkpoint {
        let mut next = self.clone();
        next.version += 1;
        next.last_trade_at = next.last_trade_at.max(change.last_trade_at);
        for progress in &change.progress {
            match progress {
                Progress::Continues(walk) => next.walk = Some(walk.clone()),
                Progress::Completed(window) => {
                    if next.complete_until.is_none() {
                        next.complete_from = window.from();
                    }
                    next.complete_until = next.complete_until.max(Some(window.until()));
                    next.walk = None;
                    next.last_success_at = Some(now);
                    next.failures = 0;
                    next.last_error = None;
                }
            }
        }
        if let Some(error) = &change.error {
            next.failures = next.failures.saturating_add(1);
            next.last_error = Some(error.clone());
        }
        next
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
    Completed(Window),
}

/// Everything one batch does to one checkpoint, in the order it happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) progress: Vec<Progress>,
    pub(super) last_trade_at: Option<Timestamp>,
    pub(super) error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    fn window(from: Option<i64>, until: i64) -> Window {
        Window::new(from.map(at), at(until)).unwrap()
    }

    fn first() -> Checkpoint {
        Checkpoint::first(Ticker::new("KX").unwrap(), at(1))
    }

    #[test]
    fn a_window_has_whole_seconds_and_runs_forward() {
        let half = Timestamp::from_micros(1_500_000);
        assert!(Window::new(Some(half), at(9)).is_none(), "a fraction below");
        assert!(Window::new(None, half).is_none(), "a fraction above");
        assert!(Window::new(Some(at(9)), at(8)).is_none(), "backwards");
        assert!(Window::new(Some(at(9)), at(9)).is_some(), "empty is fine");
    }

    #[test]
    fn the_lower_edge_is_that_of_the_first_window() {
        let change = Change {
            progress: vec![
                Progress::Completed(window(Some(10), 20)),
                Progress::Completed(window(Some(20), 30)),
            ],
            ..Change::default()
        };
        let next = first().after(&change, at(31));
        assert_eq!((next.complete_from, next.complete_until), (Some(at(10)), Some(at(30))));
    }

    #[test]
    fn completeness_never_moves_back() {
        let mut checkpoint = first();
        for (until, held) in [(60, 60), (120, 120), (90, 120)] {
            let progress = vec![Progress::Completed(window(Some(10), until))];
            checkpoint = checkpoint.after(&Change { progress, ..Change::default() }, at(200));
            assert_eq!(checkpoint.complete_until, Some(at(held)), "after {until}");
        }
    }

    #[test]
    fn a_failure_is_remembered_until_a_window_is_complete() {
        let failed = Change { error: Some("gone".into()), ..Change::default() };
        let twice = first().after(&failed, at(2)).after(&failed, at(3));
        assert_eq!((twice.failures, twice.last_error.as_deref()), (2, Some("gone")));
        let done =
            Change { progress: vec![Progress::Completed(window(None, 60))], ..Change::default() };
        let healed = twice.after(&done, at(4));
        assert_eq!((healed.failures, healed.last_error), (0, None));
    }
}
