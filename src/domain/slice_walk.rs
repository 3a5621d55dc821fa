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
    /// Where it is by the ledger.
    place: (Option<String>, Option<Timestamp>),
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
        let place = (slice.cursor.clone(), slice.low);
        SliceWalk { walk, key, keep, place, has_old_answer: false }
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
        walked.slice = match progress.filter(|_| !self.has_old_answer) {
            Some(Progress::Continues(open)) => {
                self.place = (open.cursor, open.low);
                Some(self.stays())
            }
            Some(Progress::Completed(_)) => Some(match self.key.tier() {
                Tier::Live => self.at(SliceStatus::Read, None, None),
                // What is in the archive stays there.
                Tier::Archive => self.at(SliceStatus::Complete, None, None),
            }),
            // It comes no further, but the rows are its own: the ledger counts them.
            Some(Progress::Corrected(_)) | None => (!walked.rows.is_empty()).then(|| self.stays()),
        };
        walked
    }

    fn stays(&self) -> SliceProgress {
        let (cursor, low) = self.place.clone();
        self.at(SliceStatus::Open, cursor, low)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::walk::tests::transcript::{RULES, page_from, time};

    /// What was stored before the end of the list is believed is counted for the slice, which has come
    /// no further.
    #[test]
    fn rows_that_prove_nothing_yet_are_the_slices_own() {
        let market = Ticker::new("A").unwrap();
        let key = SliceKey::new(market, Tier::Archive, time("0"), time("1000")).unwrap();
        let mut walk = SliceWalk::new(&Slice::new(key), None, Traded::Unknown, RULES);
        let walked = walk.page(page_from("@90000 A:a900 A:b100"));
        let told = walked.slice.unwrap();
        assert_eq!((walked.rows.len(), told.status), (2, SliceStatus::Open));
        assert_eq!((told.cursor, told.low), (None, None), "where it was");
        assert!(matches!(walk.next(), Step::Fetch(_)), "the end is asked for again");
        let walked = walk.page(page_from("@90000 A:b100"));
        assert_eq!(walked.slice.unwrap().status, SliceStatus::Complete);
    }

    /// A page without rows that names a cursor is no end, also where the question is repeated.
    #[test]
    fn a_cursor_behind_an_empty_page_is_followed() {
        let market = Ticker::new("A").unwrap();
        let key = SliceKey::new(market, Tier::Archive, time("0"), time("1000")).unwrap();
        let mut walk = SliceWalk::new(&Slice::new(key), None, Traded::Unknown, RULES);
        let asks = |walk: &SliceWalk, cursor: Option<&str>| {
            let Step::Fetch(request) = walk.next() else { panic!("{:?}", walk.next()) };
            assert_eq!(request.cursor.as_deref(), cursor);
        };
        for (answer, cursor) in [
            ("@90000 >c1", Some("c1")),
            ("@90000 >c2", None),
            ("@90000 >c3", Some("c3")),
            ("@90000 A:a900 >c4", Some("c4")),
        ] {
            let walked = walk.page(page_from(answer));
            assert!(walked.slice.is_none_or(|told| told.status == SliceStatus::Open), "{answer}");
            asks(&walk, cursor);
        }
        walk.page(page_from("@90000 A:b100"));
        let walked = walk.page(page_from("@90000 A:b100"));
        assert_eq!(walked.slice.unwrap().status, SliceStatus::Complete);
    }
}
