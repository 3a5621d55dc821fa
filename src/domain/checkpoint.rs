//! How far a market is complete, and the walk that was interrupted, if there is one.

use super::time::Timestamp;
use super::trade::Ticker;

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
    /// Our clock when its first page was read.
    pub opened_at: Option<Timestamp>,
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
    /// Our clock when the first page of the last completed window was read. `complete_until`
    /// follows the exchange's `Date`; this is the witness against one that lied.
    pub complete_as_of: Option<Timestamp>,
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
            complete_as_of: None,
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
                Progress::Completed { window, opened_at } => {
                    if next.complete_until.is_none() {
                        next.complete_from = window.from();
                    }
                    next.complete_until = next.complete_until.max(Some(window.until()));
                    next.complete_as_of = opened_at.or(next.complete_as_of);
                    next.walk = None;
                    next.last_success_at = Some(now);
                    next.failures = 0;
                    next.last_error = None;
                }
            }
        }
        match change.standing {
            Some(Standing::Retired) => next.retired_at = Some(now),
            Some(Standing::Reopened) => next.retired_at = None,
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
    Completed {
        window: Window,
        /// Our clock when the window's first page was read.
        opened_at: Option<Timestamp>,
    },
}

/// Everything one batch does to one checkpoint, in the order it happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) progress: Vec<Progress>,
    pub(super) last_trade_at: Option<Timestamp>,
    pub(super) error: Option<String>,
    pub(super) standing: Option<Standing>,
}

/// Whether a market is still to be looked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is over and fully drained.
    Retired,
    /// It was taken for over, and trades again.
    Reopened,
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

    fn completed(window: Window) -> Progress {
        Progress::Completed { window, opened_at: None }
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
            progress: vec![completed(window(Some(10), 20)), completed(window(Some(20), 30))],
            ..Change::default()
        };
        let next = first().after(&change, at(31));
        assert_eq!((next.complete_from, next.complete_until), (Some(at(10)), Some(at(30))));
    }

    #[test]
    fn completeness_never_moves_back() {
        let mut checkpoint = first();
        for (until, held) in [(60, 60), (120, 120), (90, 120)] {
            let progress = vec![completed(window(Some(10), until))];
            checkpoint = checkpoint.after(&Change { progress, ..Change::default() }, at(200));
            assert_eq!(checkpoint.complete_until, Some(at(held)), "after {until}");
        }
    }

    #[test]
    fn a_cursor_that_a_failure_followed_is_forgotten() {
        let walk = OpenWalk {
            window: window(None, 60),
            cursor: Some("c1".into()),
            low: Some(at(30)),
            opened_at: Some(at(61)),
        };
        let went_on =
            Change { progress: vec![Progress::Continues(walk.clone())], ..Change::default() };
        let open = first().after(&went_on, at(62));
        assert_eq!(open.walk, Some(walk.clone()));
        let failed = Change { error: Some("gone".into()), ..Change::default() };
        let after = open.after(&failed, at(63)).walk;
        assert_eq!(after, Some(OpenWalk { cursor: None, ..walk.clone() }), "time leads on");
        let again = open.after(&failed, at(63)).after(&went_on, at(64)).walk;
        assert_eq!(again, Some(walk), "a new one is as good as any");
    }

    #[test]
    fn a_failure_is_remembered_until_a_window_is_complete() {
        let failed = Change { error: Some("gone".into()), ..Change::default() };
        let twice = first().after(&failed, at(2)).after(&failed, at(3));
        assert_eq!((twice.failures, twice.last_error.as_deref()), (2, Some("gone")));
        let done = Change { progress: vec![completed(window(None, 60))], ..Change::default() };
        let healed = twice.after(&done, at(4));
        assert_eq!((healed.failures, healed.last_error), (0, None));
    }
}
