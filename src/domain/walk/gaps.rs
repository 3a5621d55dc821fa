//! Spans without trades in which many were to be expected: asked for again, and not claimed in this pass if they
//! are shown a second time.

use std::time::Duration;

use super::super::density::{Density, is_gap};
use super::super::page::{Guard, Page};
use super::super::time::Timestamp;
use super::super::trade::Event;
use super::Walk;
use super::states::{Question, Span};

impl Walk {
    /// A span without trades between two pages, or above the first row of a window that ends below others, in
    /// which many were to be expected: how to ask again, or that it was shown twice.
    pub(super) fn look_for_gaps(&mut self, page: &Page) -> Option<Result<Question, Guard>> {
        let here = Density::of(page);
        let (first, last) = (here.newest()?, here.oldest()?);
        let is_asked_again = matches!(self.chain.question, Question::Below(_));
        if let Some(low) =
            self.repeats.gaps.last().copied().filter(|low| is_asked_again && last < *low)
        {
            let is_above = |event: &Event| event.trade.traded_at >= low;
            let (_, below) = page.events.split_at(page.events.partition_point(is_above));
            let below = Density::of_events(below);
            let gap = self.unclaimed(low, below.newest().unwrap_or(last));
            return is_gap(gap, &[below, self.seen.density]).then_some(Err(Guard::Hole));
        }
        if let Some(previous) = &self.chain.previous {
            let gap = self.unclaimed(previous.at, first);
            let is_explained = previous.has_unreadable || !page.rejected.is_empty();
            // An earlier pass got down to where it stopped: it was shown what lies above, too.
            let is_believed = self.span.stopped_at().is_some_and(|low| low <= previous.at);
            if is_explained
                || is_believed
                || !is_gap(gap, &[previous.density, here, self.seen.density])
            {
                return None;
            }
            let at = previous.at;
            let is_asked = self.repeats.has_asked(at);
            return Some(if is_asked { Err(Guard::Hole) } else { Ok(Question::Below(at)) });
        }
        let is_top = self.chain.question == Question::First && self.market.is_tape();
        let until = self.span.until().filter(|_| is_top)?;
        let expected = match self.rules.tape_rate {
            Some(rate) if here.is_unknown() => Density::of_rate(rate),
            _ => here,
        };
        if !is_gap(until.since(first), &[expected]) || self.failures > 0 {
            return None;
        }
        // The exchange may have paused: another pass, or a backfill's second look, has to agree.
        let is_asked = self.repeats.has_asked(until);
        match (is_asked, &self.span) {
            (false, _) => Some(Ok(Question::First)),
            (true, Span::Slice { .. }) => Some(Err(Guard::Hole)),
            (true, _) => None,
        }
    }

    /// So much of the span between two trades is not claimed yet: only there a hole would be claimed.
    pub(super) fn unclaimed(&self, above: Timestamp, below: Timestamp) -> Duration {
        above.since(self.held.claim.map_or(below, |claim| claim.max(below)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::transcript::play;

    /// Two gaps within one second: who stopped at the lower one got through the upper one, and is shown it again.
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
