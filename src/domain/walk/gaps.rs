//! Gaps: spans without trades in which many were to be expected. The walk asks for them again, and does not claim
//! them in this pass if they are shown a second time.

use std::time::Duration;

use super::super::density::{Density, is_gap};
use super::super::page::{Guard, Page};
use super::super::time::Timestamp;
use super::super::trade::RawEvent;
use super::Walk;
use super::states::{Query, Span};

impl Walk {
    /// Looks for a gap: between two pages, or above the first row of a window that ends below other trades. Returns
    /// the question that asks again, or the guard if the gap was shown twice.
    pub(super) fn look_for_gaps(&mut self, page: &Page) -> Option<Result<Query, Guard>> {
        let here = Density::of(page);
        let (first, last) = (here.newest()?, here.oldest()?);
        let is_asked_again = matches!(self.chain.question, Query::Below(_));
        if let Some(low) =
            self.repeats.gaps.last().copied().filter(|low| is_asked_again && last < *low)
        {
            let is_above = |event: &RawEvent| event.trade.traded_at >= low;
            let (_, below) = page.events.split_at(page.events.partition_point(is_above));
            let below = Density::of_events(below);
            let gap = self.unclaimed(low, below.newest().unwrap_or(last));
            return is_gap(gap, &[below, self.seen.density]).then_some(Err(Guard::Hole));
        }
        if let Some(previous) = &self.chain.previous {
            let gap = self.unclaimed(previous.at, first);
            let is_explained = previous.has_unreadable || !page.rejected.is_empty();
            // An earlier pass read down to the position where it stopped, so it was shown the trades above that as
            // well.
            let is_believed = self.span.stopped_at().is_some_and(|low| low <= previous.at);
            if is_explained
                || is_believed
                || !is_gap(gap, &[previous.density, here, self.seen.density])
            {
                return None;
            }
            let at = previous.at;
            let is_asked = self.repeats.has_asked(at);
            return Some(if is_asked { Err(Guard::Hole) } else { Ok(Query::Below(at)) });
        }
        let is_top = self.chain.question == Query::First && self.scope.is_tape();
        let until = self.span.until().filter(|_| is_top)?;
        let expected = match self.rules.tape_rate {
            Some(rate) if here.is_unknown() => Density::of_rate(rate),
            _ => here,
        };
        if !is_gap(until.since(first), &[expected]) || self.failures > 0 {
            return None;
        }
        // The exchange may have paused, so another pass or the second look of a backfill has to agree.
        let is_asked = self.repeats.has_asked(until);
        match (is_asked, &self.span) {
            (false, _) => Some(Ok(Query::First)),
            (true, Span::Step { .. }) => Some(Err(Guard::Hole)),
            (true, _) => None,
        }
    }

    /// The part of the span between two trades that is not claimed yet. Only there could a hole become part of a
    /// claim.
    pub(super) fn unclaimed(&self, above: Timestamp, below: Timestamp) -> Duration {
        above.since(self.held.claim.map_or(below, |claim| claim.max(below)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::transcript::{RULES, page_from, play, time};
    use super::*;
    use crate::domain::checkpoint::Checkpoint;
    use crate::domain::page::{End, Next, Rules};
    use crate::domain::scope::Scope;

    /// The unreadable rows may be the trades that were to be expected.
    #[test]
    fn rows_that_nobody_can_read_explain_a_gap() {
        let page = "a990 b980 c970 d960 e950 f940 g930 h920 i910 j900 k890";
        let done = "done ..990 ^a990 _980";
        for (unreadable, rest) in [
            (" !u", format!("ask 98.. c1 | @1000 z100 y90 | z | {done}")),
            ("", format!("ask 98.. c1 | @1000 !v z100 y90 | z !v | {done}")),
            (
                "",
                format!(
                    "ask 98.. c1 | @1000 !v >c2 | !v | done ..100 ^z100 open 100..990 ^a990 at c2 low 890
                     ask 98.. c2 | @1000 z100 y90 | z | {done}"
                ),
            ),
        ] {
            play(&format!(
                "rules overlap=1
                 have done ..100 ^z100
                 ask 98.. | @1000 {page}{unreadable} >c1 | a b c d e f g h i j k{unreadable} | done ..100 ^z100 open 100..990 ^a990 at c1 low 890
                 {rest}
                 level"
            ));
        }
    }

    /// If a walk reads again above its position, an interruption there must not move the noted position back up.
    #[test]
    fn a_walk_that_looks_back_is_noted_where_it_had_come() {
        let busy = " a1018".repeat(40) + &" b1016.25".repeat(40);
        play(&format!(
            "have done ..1000 ^z999 _980
             ask 979.. | @1100{busy} >c1 | a b | done ..1000 ^z999 _980 open 1000..1018 ^a1018 at c1 low 1016.25
             ask 979.. c1 | @1100 c1001 >c2 | c | =
             # within the same second it begins above
             ask 979..1017 | @1100 d1016.3 >c3 | d | =
             ask 979.. c3 | @1100 b1016.25 e1016 >c4 | b e | done ..1000 ^z999 _980 open 1000..1018 ^a1018 at c4 low 1016
             cut"
        ));
    }

    #[test]
    fn a_gap_that_was_filled_is_none_for_the_pages_below() {
        let rows = |id: &str, from: i64, until: i64| -> String {
            (from..until).rev().map(|tens| format!(" {id}{tens}0")).collect::<Vec<_>>().concat()
        };
        let (above, filled, below) = (rows("a", 89, 100), rows("b", 78, 90), rows("c", 11, 78));
        play(&format!(
            "rules overlap=1
             have done ..100 ^z100
             ask 98.. | @1000{above} >c1 | a | done ..100 ^z100 open 100..990 ^a990 at c1 low 890
             ask 98.. c1 | @1000 z100 y90 | z | =
             ask 98..891 | @1000{filled} >c2 | b | done ..100 ^z100 open 100..990 ^a990 at c2 low 780
             ask 98.. c2 | @1000{below} z100 y90 | c z | done ..990 ^a990 _980
             level"
        ));
    }

    /// A step of the tape ends below trades that were shown. Many trades may be missing between them and its first
    /// row.
    #[test]
    fn a_step_of_the_tape_that_begins_late_is_asked_for_again_by_how_busy_the_tape_is() {
        let first = Checkpoint::first(Scope::Tape, time("0"));
        let row = Checkpoint { complete_until: Some(time("1000")), ..first };
        let busy: Vec<String> = (1_001..1_100).rev().map(|at| format!(" A:b{at}")).collect();
        let busy = busy.concat();
        for (rows, tape_rate, failures, is_asked, why) in [
            (busy.as_str(), None, 0, true, "many were to be expected"),
            (busy.as_str(), None, 1, false, "the pass before was shown the same"),
            (" A:b1100 A:a1001", Some(10.0), 0, false, "few, by what lies below"),
            (" A:b1100", Some(10.0), 0, true, "many, as the passes before have counted"),
            (" A:b1100", None, 0, false, "nobody has counted"),
        ] {
            let rules = Rules { step: Some(Duration::from_secs(600)), tape_rate, ..RULES };
            let mut walk = Walk::new(&Checkpoint { failures, ..row.clone() }, rules);
            walk.page(page_from("@3000 A:d2900 A:c2890 >c"));
            walk.page(page_from(&format!("@3000{rows} >c")));
            assert_eq!(!walk.has_cursor(), is_asked, "{why}");
            walk.page(page_from(&format!("@3000{rows} >d")));
            let end = Next::Done(End::Guarded(Guard::Hole));
            assert_eq!(walk.next() == end, is_asked, "{why}");
        }
    }

    /// Two gaps lie within one second. The pass that stopped at the lower one got through the upper one, and is shown
    /// it again.
    #[test]
    fn a_gap_above_where_the_pass_before_stopped_is_no_hole() {
        let burst = |row: &str| row.repeat(40);
        let busy = burst(" a1018") + &burst(" b1016.75");
        play(&format!(
            "have done ..1015 ^z1014 open 1015..1019 low 1016.25 failed
             ask 1004..1017 | @1100{busy} >c1 | a b | done ..1015 ^z1014 open 1015..1019 at c1 low 1016.75 failed
             ask 1004..1020 c1 | @1100 c1016.25 >c2 | c | done ..1015 ^z1014 open 1015..1019 at c2 low 1016.25 failed
             ask 1004..1020 c2 | @1100 d1015.75 z1014 y990 | d z* | done ..1019 ^z1014"
        ));
    }
}
