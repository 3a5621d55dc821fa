//! The end of a list. One answer is never proof: a second, different question has to agree.

use super::super::evidence::Anchor;
use super::super::page::{Guard, Page, Traded};
use super::super::tier::Tier;
use super::states::{Depth, Expected, Query, Second, Span};
use super::{PASSES_MISSED_MIN, Turn, Walk};

impl Walk {
    /// The reaction to a sound page. `is_bounded` says whether its request had a lower bound.
    pub(super) fn turn(&self, page: &Page, is_bounded: bool) -> Turn {
        let is_below = self.seen.low.zip(self.ask_from()).is_some_and(|(low, edge)| low < edge)
            || self.is_below_the_live_tier();
        let is_end = page.cursor.is_none() || page.is_empty();
        if let Some(turn) = self.look_above(page, is_end) {
            return turn;
        }
        let is_proven = is_below || is_end;
        match self.awaited_anchor() {
            Some(anchor) if is_proven => return self.without_anchor(anchor),
            _ if is_below && self.is_blank_beside_many(page) => return Turn::LookAbove,
            _ if is_below => return Turn::Complete,
            _ => {}
        }
        match (&page.cursor, is_end) {
            (Some(cursor), false) => Turn::Ask(Query::Next(cursor.clone())),
            _ => self.at_the_end(page, is_bounded),
        }
    }

    /// Whether the walk reached trades that only the archive shows: the archive grew over them meanwhile.
    pub(super) fn is_below_the_live_tier(&self) -> bool {
        let cutoff = self.rules.cutoff.filter(|_| self.tier == Tier::Live);
        self.seen.low.zip(cutoff).is_some_and(|(low, cutoff)| low < cutoff)
    }

    /// The anchor that is still to be shown; None if it lies above the current window.
    pub(super) fn awaited_anchor(&self) -> Option<&Anchor> {
        let is_within = |anchor: &&Anchor| self.span.until().is_none_or(|until| anchor.at < until);
        self.held.expected.awaited().filter(is_within)
    }

    /// The list ended, and no row below the lower edge proves that it was complete.
    pub(super) fn at_the_end(&self, page: &Page, is_bounded: bool) -> Turn {
        let Some(low) = self.seen.low else { return self.with_nothing_shown(page, is_bounded) };
        // Without a footing the end cannot be checked. If nothing new is claimed, that matters less.
        let is_below = |claim| low < claim || self.window().is_none_or(|w| w.until() <= claim);
        let is_free = self.held.footing.is_none() && !self.held.confirms_ends;
        let is_known = is_free && !page.is_empty();
        let has_footing = self.held.footing.is_some_and(|footing| low <= footing);
        let is_old = self.held.claim.is_some_and(is_below);
        let is_claimed = has_footing || is_known && is_old;
        // The volume of the market agrees. No later pass checks a claim of a backfill, so there the volume replaces
        // no question.
        let is_all = self.seen.counted.is_all(self.traded);
        let is_given = matches!(self.span, Span::Given { .. });
        if is_claimed || is_all && !is_given {
            return Turn::Complete;
        }
        if let Second::Agrees(doubt) = self.chain.second {
            // The second chain also has a cursor, and in one of the two chains the page behind the cursor is empty.
            // The page behind a cursor is one answer, even if it is asked for twice.
            let is_hollow = self.has_cursor() && (doubt.is_after_nothing || page.is_empty());
            // A single failure without an open walk had another cause.
            let is_usual = self.ends_believed > 0 || self.failures >= PASSES_MISSED_MIN;
            let was_seen = is_usual || self.span.stopped_at() == Some(low);
            let is_agreed = !is_hollow || was_seen || is_old || is_all;
            return if is_agreed { Turn::Complete } else { Turn::Broken(Guard::EndsEmpty) };
        }
        // A short window is asked for again as a whole, with its upper end.
        let top = match self.span {
            Span::Given { until, .. } if self.pages == 1 => until,
            _ => low,
        };
        Turn::Ask(Query::Confirm(top))
    }

    /// No page has shown a trade, and no anchor is awaited.
    pub(super) fn with_nothing_shown(&self, page: &Page, is_bounded: bool) -> Turn {
        if let Some(cursor) = page.cursor.as_ref().filter(|_| !page.is_empty()) {
            return Turn::Ask(Query::Next(cursor.clone()));
        }
        if let Some(until) = self.span.until() {
            // A cursor says that there may be more rows, so it is followed once.
            if let Some(cursor) = page.cursor.as_ref().filter(|_| !self.has_cursor()) {
                return Turn::Ask(Query::Next(cursor.clone()));
            }
            return self.with_an_empty_window(until);
        }
        if is_bounded || (page.cursor.is_some() && self.depth == Depth::ToEdge) {
            return Turn::AskToEnd;
        }
        if !page.is_empty() {
            // No row could be read. The rows are kept, and nothing is claimed.
            return Turn::Idle;
        }
        if let Some(cursor) = &page.cursor {
            // The cursor says that this is not the end. It is followed once.
            let is_followed = self.has_cursor();
            return if is_followed { Turn::Idle } else { Turn::Ask(Query::Next(cursor.clone())) };
        }
        match self.traded {
            _ if self.scope.is_tape() => Turn::Idle,
            Traded::Ever { .. } | Traded::Stored
                if !matches!(self.held.expected, Expected::Archived) =>
            {
                Turn::Ask(Query::Archive)
            }
            Traded::Unknown if self.is_never_heard_of() => Turn::Silent,
            _ => Turn::Complete,
        }
    }

    /// Decides if the exchange does not show the newest stored trade.
    pub(super) fn without_anchor(&self, anchor: &Anchor) -> Turn {
        if self.depth == Depth::ToEdge {
            return Turn::AskToEnd;
        }
        let newest = self.newest();
        let is_passed = self.seen.low.is_some_and(|low| low < anchor.at);
        let has_news = newest.is_some_and(|newest| newest.at > anchor.at);
        let is_empty = newest.is_none() && matches!(self.traded, Traded::Never(_));
        let is_missed = self.failures >= PASSES_MISSED_MIN;
        let is_busted = is_passed && (has_news || is_missed) || is_empty && is_missed;
        // An answer that is only old looks like an answer from which the newest trade was removed.
        if is_busted { Turn::Complete } else { Turn::Broken(Guard::AnchorMissing) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::transcript::{RULES, page_from, play, state_from, time};
    use super::*;
    use crate::domain::checkpoint::Checkpoint;
    use crate::domain::page::{End, Next, Rules};
    use crate::domain::scope::Scope;
    use crate::domain::ticker::Ticker;

    /// Whether the second question about the end of the list is skipped. Each trade has a quantity of 0.01 contract.
    #[test]
    fn a_volume_accounts_for_what_was_shown_before_it_was_said() {
        for (answers, volume, as_of, is_spared, why) in [
            (&["@900 b200 a100"][..], 2, "300", true, "all of it"),
            (&["@900 b200 a100"], 3, "300", false, "one is missing"),
            (&["@900 b200 a100"], 2, "199", false, "the newer one is not in it"),
            (&["@900 d400 c300"], 2, "300", false, "an old volume: two older ones are missing"),
            (&["@900 b200 b200 a100"], 3, "300", false, "one trade counts once"),
            (&["@900 c200 b200 >n", "@900 a100"], 3, "300", true, "page by page"),
            (&["@900 c200 b200 >n", "@900 b200 a100"], 4, "300", false, "also across pages"),
            (
                &["@900 c200 b200 >n", "@900 b200 d200 a100"],
                4,
                "300",
                true,
                "a tie on the next page",
            ),
            (&["@900 c200 b200 >n", "@900 b200 a100"], 3, "300", true, "shown twice, counted once"),
        ] {
            let row = Checkpoint::first(Ticker::new("KX").unwrap(), time("0"));
            let traded = Traded::Ever { quantity_e2: volume, as_of: time(as_of) };
            let mut walk = Walk::new(&row, RULES).traded(traded);
            for answer in answers {
                walk.page(page_from(answer));
            }
            assert_eq!(walk.next() == Next::Done(End::Level), is_spared, "{why}");
        }
    }

    #[test]
    fn a_walk_whose_rest_only_the_archive_shows_is_over() {
        play(
            "rules cutoff=5000
             have new open ..9000 ^a8999 low 4000 failed
             ask ..4001 | @10000 | | done ..9000 ^a8999
             ask 8989.. | @10000 a8999 b8000 | a* | done ..9000 ^a8999 _8000
             level
             # of a market that was complete up to before the cutoff
             have done 1000..3000 ^z2999 open 3000..9000 ^a8999 low 4000 failed
             ask ..4001 | @10000 | | done 5000..9000 ^a8999
             cut
             # the window was moved up to the cutoff, and the walk was interrupted: the gap is not forgotten
             have done 1000..3000 ^z2999
             ask .. | @9000 a8999 b8000 >c1 | a b | done 1000..3000 ^z2999 open 5000..8995 ^a8999 at c1 low 8000
             again
             ask ..8996 c1 | @9000 c7000 d4000 | c | done 5000..8995 ^a8999
             cut
             # a trade at the cutoff itself is live
             have new
             ask .. | @9000 a6000 b5000 >c1 | a b | new open ..6000 ^a6000 at c1 low 5000
             cut",
        );
    }

    #[test]
    fn where_a_cursor_leads_to_is_one_answer_however_often_it_is_asked_for() {
        play(
            "have new
             ask .. | @100 a90 b80.5 | a b | =
             # the second question needs a cursor, and ends with nothing behind it
             ask ..81 | @100 b80.5 c80.5 >c1 | b c | new open ..90 ^a90 at c1 low 80.5
             ask .. c1 | @100 | | =
             guarded EndsEmpty
             have new
             ask .. | @100 a90 b80.5 >c1 | a b | new open ..90 ^a90 at c1 low 80.5
             ask .. c1 | @100 | | =
             # the first question ended with nothing, and the second needs a cursor
             ask ..81 | @100 b80.5 >c2 | b | new open ..90 ^a90 at c2 low 80.5
             ask .. c2 | @100 c80.5 | c | =
             guarded EndsEmpty",
        );
    }

    /// The anchor may be one of several trades at that instant, on a page that was not shown.
    #[test]
    fn an_anchor_is_not_passed_by_a_trade_of_its_instant() {
        play(
            "have done ..95 ^z94
             ask 84.. | @160 a150 y94 | a y* | =
             ask .. | @160 a150 y94 | a y* | =
             guarded AnchorMissing
             # nor is that one any newer
             have done ..95 ^z94
             ask 84.. | @160 y94 x80 | y* | =
             ask .. | @160 y94 x80 | y* | =
             guarded AnchorMissing",
        );
    }

    /// The tape holds the trades of all markets, so an empty tape is no answer.
    #[test]
    fn a_tape_that_shows_nothing_says_nothing() {
        let never = Checkpoint::first(Scope::Tape, time("0"));
        let read = Checkpoint { complete_until: Some(time("95")), ..never.clone() };
        for row in [never, read] {
            let mut walk = Walk::new(&row, RULES);
            while let Next::Fetch(_) = walk.next() {
                let walked = walk.page(page_from("@200"));
                assert!(walked.progress.is_empty() && walked.heard().is_empty(), "{walked:?}");
            }
            assert_eq!(walk.next(), Next::Done(End::Level));
        }
    }

    /// An earlier pass looked there.
    #[test]
    fn the_archive_is_not_asked_for_an_anchor_that_is_known_to_be_there() {
        let rules = Rules { cutoff: Some(time("5000")), ..RULES };
        for (row, is_asked) in [("new", true), ("done ..95 ^94", false)] {
            let mut walk = Walk::new(&state_from(row), rules).traded(Traded::Stored);
            walk.page(page_from("@9000"));
            assert_eq!(matches!(walk.next(), Next::Fetch(_)), is_asked, "{row}");
        }
    }

    /// Two sources contradict the stored trade by then, and earlier passes got the same answers.
    #[test]
    fn an_anchor_is_given_up_for_an_empty_list_if_its_description_says_so_and_passes_agree() {
        for (failures, traded, end) in [
            (0, Traded::Never(time("150")), End::Guarded(Guard::AnchorMissing)),
            (2, Traded::Unknown, End::Guarded(Guard::AnchorMissing)),
            (2, Traded::Never(time("150")), End::Level),
        ] {
            let row = Checkpoint { failures, ..state_from("done ..95 ^z94") };
            let mut walk = Walk::new(&row, RULES).traded(traded);
            while let Next::Fetch(_) = walk.next() {
                walk.page(page_from("@160"));
            }
            assert_eq!(walk.next(), Next::Done(end), "{failures} {traded:?}");
        }
    }
}
