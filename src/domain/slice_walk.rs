//! The walk that reads one slice.

use std::collections::HashSet;
use std::sync::Arc;

use super::checkpoint::{OpenWalk, Progress};
use super::page::{End, Guard, Next, Page, Rules, Traded, Walked};
use super::scope::Scope;
use super::slice::{Slice, SliceKey, SliceProgress, SliceStatus};
use super::ticker::Ticker;
use super::tier::Tier;
use super::time::Timestamp;
use super::walk::Walk;

/// The facts about a slice beside its answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SliceKnown {
    /// Whether the market of the slice has ever traded.
    pub traded: Traded,
    /// Whether other figures of the exchange say that no trade of the slice is missing.
    pub is_vouched: bool,
    /// Whether the slice reaches above the trades that the exchange has shown so far. It is read like any other, and
    /// stays open.
    pub is_unsettled: bool,
}

/// The walk of one slice.
#[derive(Clone, Debug)]
pub struct SliceWalk {
    walk: Walk,
    key: SliceKey,
    /// The markets whose rows are kept; `None` keeps the rows of all markets.
    keep: Option<Arc<HashSet<Ticker>>>,
    /// The cursor and the oldest stored trade time, by the ledger.
    position: (Option<String>, Option<Timestamp>),
    /// Whether the exchange may show more trades of the slice later.
    is_unsettled: bool,
    /// Whether an answer was older than the end of the window, so that it cannot hold all trades of the window.
    has_old_answer: bool,
    /// Whether the walk has completed the slice.
    is_proven: bool,
}

impl SliceWalk {
    /// Continues from the row of the ledger. `keep` is for the tape read for some markets.
    pub fn new(
        slice: &Slice,
        keep: Option<Arc<HashSet<Ticker>>>,
        known: SliceKnown,
        rules: Rules,
    ) -> SliceWalk {
        let key = slice.key.clone();
        let scope = match key.scope() {
            Scope::Group(_) => Scope::Tape,
            scope => scope.clone(),
        };
        let open = OpenWalk {
            window: key.window(),
            cursor: slice.cursor.clone(),
            low: slice.low,
            anchor: None,
        };
        let SliceKnown { traded, is_vouched, is_unsettled } = known;
        let walk = Walk::of_window(scope, key.tier(), &open, is_vouched, rules).traded(traded);
        let position = (slice.cursor.clone(), slice.low);
        SliceWalk {
            walk,
            key,
            keep,
            position,
            is_unsettled,
            has_old_answer: false,
            is_proven: false,
        }
    }

    /// The next request, or the end of the walk.
    pub fn next(&self) -> Next {
        if self.has_old_answer {
            return Next::Done(End::Guarded(Guard::OldAnswer));
        }
        match self.walk.next() {
            Next::Done(End::Level) if !self.is_proven => Next::Done(End::Unproven),
            step => step,
        }
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
        // The archive never changes, so only an answer of the live tier can be too old.
        self.has_old_answer |=
            self.key.tier() == Tier::Live && page.exchange_now < self.key.until();
        let mut walked = self.walk.page(page);
        if let Some(keep) = &self.keep {
            walked.rows.retain(|row| keep.contains(&row.event.trade.market));
            let is_kept = |market: &Ticker| keep.contains(market);
            walked.rejected.retain(|row| row.scope.market().is_none_or(is_kept));
        }
        let progress = walked.progress.pop().map(|(_, progress)| progress);
        self.is_proven |= matches!(progress, Some(Progress::Completed(_)));
        walked.slice = match progress.filter(|_| !self.has_old_answer) {
            Some(Progress::Continues(open)) => {
                self.position = (open.cursor, open.low);
                Some(self.stays())
            }
            Some(Progress::Completed(_)) if self.is_unsettled => Some(self.stays()),
            Some(Progress::Completed(_)) => Some(match self.key.tier() {
                Tier::Live => self.at(SliceStatus::Read, None, None),
                // A trade in the archive stays there.
                Tier::Archive => self.at(SliceStatus::Complete, None, None),
            }),
            // The slice makes no progress, but the rows belong to it, so the ledger counts them.
            Some(Progress::Corrected(_) | Progress::Spoke) | None => {
                (!walked.rows.is_empty()).then(|| self.stays())
            }
        };
        if self.walk.next() == Next::Done(End::Guarded(Guard::OldestMissing)) {
            // The trade may have been removed by the exchange, so the next run reads the slice from the start.
            self.position = (None, None);
            walked.slice = Some(self.stays());
        }
        walked
    }

    fn stays(&self) -> SliceProgress {
        let (cursor, low) = self.position.clone();
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
    use crate::domain::scope::GroupId;
    use crate::domain::walk::tests::transcript::{RULES, page_from, request_text, time};

    /// Rows that are stored before the end of the list is believed are counted for the slice, which makes no
    /// progress.
    #[test]
    fn rows_that_prove_nothing_yet_are_the_slices_own() {
        let market = Ticker::new("A").unwrap();
        let key = SliceKey::new(market, Tier::Archive, time("0"), time("1000")).unwrap();
        let mut walk = SliceWalk::new(&Slice::new(key), None, SliceKnown::default(), RULES);
        let walked = walk.page(page_from("@90000 A:a900 A:b100"));
        let told = walked.slice.unwrap();
        assert_eq!((walked.rows.len(), told.status), (2, SliceStatus::Open));
        assert_eq!((told.cursor, told.low), (None, None), "where it was");
        assert!(matches!(walk.next(), Next::Fetch(_)), "the end is asked for again");
        let walked = walk.page(page_from("@90000 A:b100"));
        assert_eq!(walked.slice.unwrap().status, SliceStatus::Complete);
    }

    /// A page without rows that names a cursor is not the end of the list, also if the question is repeated.
    #[test]
    fn a_cursor_behind_an_empty_page_is_followed() {
        let market = Ticker::new("A").unwrap();
        let key = SliceKey::new(market, Tier::Archive, time("0"), time("1000")).unwrap();
        let mut walk = SliceWalk::new(&Slice::new(key), None, SliceKnown::default(), RULES);
        let asks = |walk: &SliceWalk, cursor: Option<&str>| {
            let Next::Fetch(request) = walk.next() else { panic!("{:?}", walk.next()) };
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

    fn slice_walk(market: &str, tier: Tier, known: SliceKnown) -> SliceWalk {
        let scope = Scope::parse(market).unwrap();
        let key = SliceKey::new(scope, tier, time("100000"), time("103600")).unwrap();
        SliceWalk::new(&Slice::new(key), None, known, RULES)
    }

    /// Plays questions and answers. Returns the status of the slice after the last of them.
    fn played(walk: &mut SliceWalk, answers: &[(&str, &str)]) -> Option<SliceStatus> {
        let mut status = None;
        for (request, answer) in answers {
            let Next::Fetch(asked) = walk.next() else { panic!("{:?}", walk.next()) };
            assert_eq!(request_text(&asked).trim_end_matches(" archived"), *request);
            assert_eq!(asked.tier, walk.key.tier());
            status = walk.page(page_from(answer)).slice.map(|told| told.status);
        }
        assert!(matches!(walk.next(), Next::Done(_)), "{:?}", walk.next());
        status
    }

    /// An endpoint that shows nothing gives one answer, however often it is asked.
    #[test]
    fn a_slice_is_not_empty_because_one_endpoint_shows_nothing() {
        let nothing = "@900000";
        let market = [("99999..103601", nothing), ("..103601", nothing), ("99999..", nothing)];
        let tape = [
            ("99999..103601", nothing),
            ("..103601", nothing),
            ("99999..107201", nothing),
            ("99999..190001", nothing),
            ("99999..2695601", nothing),
            ("99999..", nothing),
        ];
        for tier in [Tier::Live, Tier::Archive] {
            for (name, answers) in [("A", &market[..]), ("*", &tape)] {
                let mut walk = slice_walk(name, tier, SliceKnown::default());
                assert_eq!(played(&mut walk, answers), None, "{name} stays open");
                assert_eq!(walk.next(), Next::Done(End::Unproven), "and nothing is wrong");
            }
        }
    }

    /// An older or newer trade on the same list proves it, or another source.
    #[test]
    fn a_slice_is_empty_if_something_else_says_so() {
        let first = ("99999..103601", "@900000");
        for (answers, why) in [
            (vec![first, ("..103601", "@900000 A:z99000")], "an older trade"),
            (
                vec![
                    first,
                    ("..103601", "@900000"),
                    ("99999..", "@900000 A:b200000 A:a103600"),
                    ("..103601", "@900000 A:a103600"),
                ],
                "a newer trade",
            ),
            (
                vec![
                    first,
                    ("..103601", "@900000"),
                    ("99999..", "@900000 A:b200000 >c"),
                    ("99999..200001 c", "@900000 A:a150000"),
                    ("..150001", "@900000 A:a150000"),
                ],
                "two pages of newer trades",
            ),
        ] {
            let mut walk = slice_walk("A", Tier::Archive, SliceKnown::default());
            assert_eq!(played(&mut walk, &answers), Some(SliceStatus::Complete), "{why}");
        }
        let known = SliceKnown { is_vouched: true, ..SliceKnown::default() };
        let mut walk = slice_walk("A", Tier::Archive, known);
        assert_eq!(played(&mut walk, &[first]), Some(SliceStatus::Complete));
    }

    /// An archive that is behind shows older trades, and nothing of the hour that is asked for.
    #[test]
    fn an_older_trade_is_no_witness_where_many_were_to_be_expected() {
        let busy: Vec<String> = (99_950..99_990).rev().map(|at| format!("A:z{at}")).collect();
        let below = format!("@900000 {}", busy.join(" "));
        let begins = [("99999..103601", "@900000"), ("..103601", below.as_str())];
        let nothing = [("99999..107201", "@900000"), ("99999..190001", "@900000")];
        let months = [("99999..2695601", "@900000"), ("99999..", "@900000")];
        let paused = [("99999..107201", "@900000 A:b104000 >c")];
        let quiet = [("99999..103601", "@900000"), ("..103601", "@900000 A:z99000 A:y98000")];
        let shown = below.replace("@900000", "@900000 A:a100000");
        let shown = [begins[0], ("..103601", shown.as_str())];
        for (name, answers, proven, why) in [
            ("*", [&begins[..], &nothing, &months].concat(), None, "it ends there"),
            ("*", [&begins[..], &paused].concat(), Some(SliceStatus::Complete), "it goes on above"),
            ("*", quiet.to_vec(), Some(SliceStatus::Complete), "few were to be expected"),
            ("*", shown.to_vec(), Some(SliceStatus::Complete), "its first instant has a trade"),
            ("A", begins.to_vec(), Some(SliceStatus::Complete), "a market may trade in bursts"),
        ] {
            let mut walk = slice_walk(name, Tier::Archive, SliceKnown::default());
            assert_eq!(played(&mut walk, &answers), proven, "{why}");
        }
    }

    /// The end is unknown if there are too many pages above the window, or if the list above ends without a trade.
    #[test]
    fn a_slice_stays_open_below_a_list_that_does_not_say_where_it_ends() {
        let begins = [("99999..103601", "@900000"), ("..103601", "@900000")];
        let long = [
            ("99999..", "@900000 A:d900 >c"),
            ("99999..200001 c", "@900000 A:c190000 >d"),
            ("99999..190001 d", "@900000 A:b180000 >e"),
        ];
        let long = long.map(|(request, answer)| (request, answer.replace("d900", "d200000")));
        let long: Vec<(&str, &str)> = long.iter().map(|(r, a)| (*r, a.as_str())).collect();
        let hollow = [("99999..", "@900000 A:d200000 >c"), ("99999..200001 c", "@900000")];
        for above in [long.as_slice(), &hollow] {
            let mut walk = slice_walk("A", Tier::Archive, SliceKnown::default());
            assert_eq!(played(&mut walk, &[&begins[..], above].concat()), None);
            assert_eq!(walk.position, (None, None), "what lies above it is no place in it");
        }
    }

    /// A slice that shows no trade at first and shows some later is read like any other.
    #[test]
    fn a_slice_that_shows_something_at_last_is_read() {
        let mut walk = slice_walk("A", Tier::Archive, SliceKnown::default());
        let answers = [
            ("99999..103601", "@900000"),
            ("..103601", "@900000"),
            ("99999..", "@900000 A:b200000 A:a103000"),
            ("..103001", "@900000 A:a103000"),
        ];
        assert_eq!(played(&mut walk, &answers), Some(SliceStatus::Complete));
    }

    /// A list that is cut short above the window is detected.
    #[test]
    fn what_lies_above_an_empty_slice_has_to_end_there() {
        let mut walk = slice_walk("A", Tier::Archive, SliceKnown::default());
        let answers = [
            ("99999..103601", "@900000"),
            ("..103601", "@900000"),
            ("99999..", "@900000 A:c200000 A:b150000"),
            ("..150001", "@900000 A:b150000 A:a103000 A:z90000"),
        ];
        assert_eq!(played(&mut walk, &answers), Some(SliceStatus::Complete));
    }

    fn of_volume(quantity_e2: i64, as_of: &str) -> SliceKnown {
        let traded = Traded::Ever { quantity_e2, as_of: time(as_of) };
        SliceKnown { traded, ..SliceKnown::default() }
    }

    /// The description is from before the window, or an answer is cut short after as many trades as it counts.
    #[test]
    fn a_volume_takes_no_questions_place_in_a_slice() {
        let mut walk = slice_walk("A", Tier::Archive, of_volume(2, "900000"));
        let answers = [
            ("99999..103601", "@900000 A:d103000 A:c102500"),
            ("..103601", "@900000 A:d103000 A:c102500 A:b102000 A:a101000 >n"),
            ("99999..103601 n", "@900000 A:z90000"),
        ];
        assert_eq!(played(&mut walk, &answers), Some(SliceStatus::Complete));
    }

    /// A trade that is shown again is the same trade: another one of the same size may be missing.
    #[test]
    fn a_trade_that_is_shown_again_counts_once() {
        let mut walk = slice_walk("A", Tier::Archive, of_volume(2, "900000"));
        walk.page(page_from("@900000 A:b103000 >c"));
        walk.walk_mut().cursor_refused();
        let told = walk.page(page_from("@900000 A:b103000")).slice.unwrap();
        assert_eq!(told.status, SliceStatus::Open);
        assert!(matches!(walk.next(), Next::Fetch(_)), "the end is asked for again");
    }

    /// The page behind the cursor is empty each time. These are two answers, and the volume is the third.
    #[test]
    fn a_volume_settles_an_end_that_is_shown_empty_twice() {
        for (volume, as_of, status) in
            [(1, "900000", Some(SliceStatus::Complete)), (2, "900000", None), (1, "102999", None)]
        {
            let mut walk = slice_walk("A", Tier::Archive, of_volume(volume, as_of));
            let answers = [
                ("99999..103601", "@900000 A:d103000 >c"),
                ("99999..103601 c", "@900000"),
                ("..103001", "@900000 A:d103000 >c"),
                ("99999..103601 c", "@900000"),
            ];
            assert_eq!(played(&mut walk, &answers), status, "{volume} as of {as_of}");
        }
    }

    /// Trades above the newest one that was shown are read like any other, and the slice stays open when it is
    /// proven.
    #[test]
    fn a_slice_that_is_not_settled_stays_open() {
        let first = ("99999..103601", "@900000");
        for (answers, end, status, why) in [
            (
                vec![("99999..103601", "@900000 A:a103000 A:z99999")],
                End::Level,
                Some(SliceStatus::Open),
                "all of it is shown",
            ),
            (
                vec![first, ("..103601", "@900000 A:z99999")],
                End::Level,
                Some(SliceStatus::Open),
                "nothing, below an older one",
            ),
            (
                vec![first, ("..103601", "@900000"), ("99999..", "@900000")],
                End::Unproven,
                None,
                "nothing at all",
            ),
            (
                vec![first, ("..103601", "@900000 A:b103500 A:z99999")],
                End::Level,
                Some(SliceStatus::Open),
                "the first answer was empty by mistake",
            ),
        ] {
            let known = SliceKnown { is_unsettled: true, ..SliceKnown::default() };
            let mut walk = slice_walk("A", Tier::Live, known);
            assert_eq!(played(&mut walk, &answers), status, "{why}");
            assert_eq!(walk.next(), Next::Done(end), "{why}");
        }
        let known = SliceKnown { is_unsettled: true, is_vouched: true, ..SliceKnown::default() };
        let mut walk = slice_walk("A", Tier::Live, known);
        assert_eq!(played(&mut walk, &[first]), Some(SliceStatus::Open), "others say so");
        assert_eq!(walk.next(), Next::Done(End::Level));
    }

    /// The trade may have been removed by the exchange, and the slice must not wait for it forever.
    #[test]
    fn a_slice_that_misses_its_oldest_trade_begins_anew() {
        let key =
            SliceKey::new(Ticker::new("A").unwrap(), Tier::Archive, time("1000"), time("2000"));
        let low = Some(time("1500"));
        let slice = Slice { low, ..Slice::new(key.unwrap()) };
        let mut walk = SliceWalk::new(&slice, None, SliceKnown::default(), RULES);
        let told = walk.page(page_from("@9000 A:z1400 A:y1300")).slice.unwrap();
        assert_eq!(walk.next(), Next::Done(End::Guarded(Guard::OldestMissing)));
        assert_eq!((told.status, told.cursor, told.low), (SliceStatus::Open, None, None));
    }

    /// Both edges are instants of the exchange: the first belongs to the slice, the last does not.
    #[test]
    fn rows_at_the_edges_of_a_slice_belong_to_one_slice() {
        let mut walk = slice_walk("A", Tier::Archive, SliceKnown::default());
        let walked = walk.page(page_from("@900000 A:c103600 A:b103599.999999 A:a100000 A:z99999"));
        let kept: Vec<&str> = walked.rows.iter().map(|row| &*row.event.trade.trade_id).collect();
        assert_eq!(kept, ["b", "a"]);
    }

    /// The live tier changes: an answer from before the end of a slice is not complete. The archive does not change.
    #[test]
    fn a_slice_is_not_read_from_an_answer_that_is_older_than_its_end() {
        let rows = "A:b103000 A:a102000";
        for (tier, dates, status, why) in [
            (Tier::Live, ["103600", "103600"], Some(SliceStatus::Read), "given when it ended"),
            (Tier::Live, ["103599", "103600"], None, "the first is too old"),
            (Tier::Live, ["103600", "103599"], None, "the second is"),
            (Tier::Archive, ["103599", "103599"], Some(SliceStatus::Complete), "archived"),
        ] {
            let mut walk = slice_walk("A", tier, SliceKnown::default());
            walk.page(page_from(&format!("@{} {rows} >c", dates[0])));
            let told = walk.page(page_from(&format!("@{} A:z99000", dates[1]))).slice;
            assert_eq!(told.map(|told| told.status), status, "{why}");
            let end = if status.is_some() { End::Level } else { End::Guarded(Guard::OldAnswer) };
            assert_eq!(walk.next(), Next::Done(end), "{why}");
        }
    }

    /// On the tape read for some markets, a row that names no market may belong to any of them.
    #[test]
    fn a_slice_of_the_tape_keeps_what_is_its_markets_or_nobodys() {
        let market = Ticker::new("A").unwrap();
        let group = Scope::Group(GroupId::of(std::slice::from_ref(&market)));
        let key = SliceKey::new(group, Tier::Live, time("0"), time("1000"));
        let keep = Arc::new(HashSet::from([market]));
        let slice = Slice::new(key.unwrap());
        let mut walk = SliceWalk::new(&slice, Some(keep), SliceKnown::default(), RULES);
        let walked = walk.page(page_from("@9000 A:a900 B:b800 !A:x !B:y !*:z"));
        let kept: Vec<&str> = walked.rows.iter().map(|row| &*row.event.trade.trade_id).collect();
        let rejected: Vec<&str> = walked.rejected.iter().map(|row| &*row.payload).collect();
        assert_eq!((kept, rejected), (vec!["a"], vec!["x", "z"]));
    }
}
