//! The walk that reads one slice.

use std::collections::HashSet;
use std::sync::Arc;

use super::checkpoint::{OpenWalk, Progress};
use super::page::{End, Guard, Page, Rules, Step, Traded, Walked};
use super::slice::{Slice, SliceKey, SliceProgress, SliceStatus};
use super::tier::Tier;
use super::time::Timestamp;
use super::trade::Ticker;
use super::walk::Walk;

/// The walk of one slice.
#[derive(Clone, Debug)]
pub struct SliceWalk {
    walk: Walk,
    key: SliceKey,
    /// Whose rows are kept; `None`: everybody's.
    keep: Option<Arc<HashSet<Ticker>>>,
    /// An answer came from before the window's end: it cannot hold all of it.
    has_old_answer: bool,
}

impl SliceWalk {
    /// Takes up what the ledger left of the slice. `keep` is for the tape read for some markets.
    pub fn new(
        slice: &Slice,
        keep: Option<Arc<HashSet<Ticker>>>,
        traded: Traded,
        rules: Rules,
    ) -> SliceWalk {
        let key = slice.key.clone();
        let market = if keep.is_some() { Ticker::tape() } else { key.market().clone() };
        let open = OpenWalk {
            window: key.window(),
            cursor: slice.cursor.clone(),
            low: slice.low,
            anchor: None,
        };
        let walk = Walk::of_window(market, key.tier(), &open, rules).traded(traded);
        SliceWalk { walk, key, keep, has_old_answer: false }
    }

    /// What to ask next, or how it ended.
    pub fn next(&self) -> Step {
        if self.has_old_answer {
            return Step::Done(End::Guarded(Guard::OldAnswer));
        }
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
        // The archive does not change any more.
        self.has_old_answer |=
            self.key.tier() == Tier::Live && page.exchange_now < self.key.until();
        let mut walked = self.walk.page(page);
        if let Some(keep) = &self.keep {
            walked.rows.retain(|row| keep.contains(&row.event.trade.market));
            walked.rejected.retain(|row| row.market.is_tape() || keep.contains(&row.market));
        }
        let progress = walked.progress.pop().map(|(_, progress)| progress);
        walked.slice =
            progress.filter(|_| !self.has_old_answer).and_then(|progress| match progress {
                Progress::Continues(open) => {
                    Some(self.at(SliceStatus::Open, open.cursor, open.low))
                }
                Progress::Completed(_) => Some(match self.key.tier() {
                    Tier::Live => self.at(SliceStatus::Read, None, None),
                    // What is in the archive stays there.
                    Tier::Archive => self.at(SliceStatus::Complete, None, None),
                }),
                Progress::Corrected(_) => None,
            });
        walked
    }

    fn at(
        &self,
        status: SliceStatus,
        cursor: Option<String>,
        low: Option<Timestamp>,
    ) -> SliceProgress {
        SliceProgress { key: self.key.clone(), status, cursor, low }
    }
}
