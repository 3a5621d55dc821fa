//! A window that shows nothing. The same endpoint gives no other answer if it is asked again. So the proof has to be
//! a trade below or above the window on the same list, or another source.

use std::time::Duration;

use super::super::density::{Density, is_gap};
use super::super::page::Page;
use super::super::time::Timestamp;
use super::states::{Above, Query, Second, Seen, Span};
use super::{Turn, Walk};

/// The distances above an empty window of the tape in which a trade is looked for, one after the other; the last
/// question has no upper bound. A market has few trades, so its first question has none.
const TAPE_REACHES: [Duration; 3] =
    [Duration::from_secs(3_600), Duration::from_secs(86_400), Duration::from_secs(30 * 86_400)];
/// The most pages that are read above the window.
const PAGES_ABOVE_MAX: u32 = 3;

impl Walk {
    /// Decides about an empty window with a given upper edge.
    pub(super) fn with_an_empty_window(&self, until: Timestamp) -> Turn {
        match (&self.span, self.chain.second) {
            (Span::Given { is_vouched: true, .. }, _) => Turn::Complete,
            // Older trades were asked for already.
            (_, Second::None) if self.nothing_until.is_some() => Turn::Widen,
            // A trade below the window shows that the list continues below.
            (_, Second::None) => Turn::Ask(Query::Confirm(until)),
            (Span::Given { .. }, _) => Turn::Ask(Query::Above(0)),
            _ => Turn::Widen,
        }
    }

    /// Looks above an empty window: a list with trades there and none in the window proves that the window is empty.
    /// `None` as soon as the list shows a trade in the window, which is then read like any other.
    pub(super) fn look_above(&self, page: &Page, is_end: bool) -> Option<Turn> {
        let Above { step, pages, is_below_shown } =
            self.chain.above.filter(|_| self.is_above_the_window())?;
        let shown = self.seen.low.filter(|_| !page.is_empty());
        if is_below_shown && shown.is_some() {
            // The list shows trades on both sides of the window and none inside.
            return Some(Turn::Complete);
        }
        if !is_end && let Some(cursor) = &page.cursor {
            let is_short = pages < PAGES_ABOVE_MAX;
            return Some(if is_short {
                Turn::Ask(Query::Next(cursor.clone()))
            } else {
                Turn::Idle
            });
        }
        Some(match shown {
            // The list may have been cut short there.
            Some(low) => Turn::Ask(Query::Confirm(low)),
            None if self.above_edge(step).is_some() => Turn::Ask(Query::Above(step + 1)),
            None => Turn::Idle,
        })
    }

    /// Whether a window of the tape showed nothing although many trades were to be expected, by the trades below it.
    /// A list that continues below does not prove that it reaches up to the window: an archive that is behind answers
    /// like this.
    pub(super) fn is_blank_beside_many(&self, page: &Page) -> bool {
        let Span::Given { until, is_vouched: false, .. } = self.span else { return false };
        if !self.scope.is_tape() || self.chain.question != Query::Confirm(until) {
            return false;
        }
        let below = Density::of(page);
        let gap = below.newest().map(|newest| until.since(newest)).unwrap_or_default();
        self.start.at() > below.newest() && is_gap(gap, &[below])
    }

    /// Asks for the trades above the window, as if nothing had been shown.
    pub(super) fn ask_above(&mut self) {
        self.seen = Seen::default();
        self.ask(Query::Above(0));
        if let Some(above) = &mut self.chain.above {
            above.is_below_shown = true;
        }
    }

    /// Whether the list above the window is being read: no trade older than the end of the window was shown so far.
    pub(super) fn is_above_the_window(&self) -> bool {
        let until = self.span.until().filter(|_| self.chain.above.is_some());
        until.is_some_and(|until| self.seen.low.is_none_or(|low| until <= low))
    }

    /// The upper bound of the question of this step; `None` reaches up to the newest trade.
    pub(super) fn above_edge(&self, step: usize) -> Option<Timestamp> {
        let reach = TAPE_REACHES.get(step).filter(|_| self.scope.is_tape())?;
        Some(self.span.until()?.after(*reach))
    }

    /// Joins an empty step with the span above it: a broken server also gives two empty answers. Trades above the
    /// step were shown, and a window that reaches up to them has to show them again.
    pub(super) fn widen(&mut self) {
        self.nothing_until = self.span.until();
        (self.span, self.seen) = (Span::Own, Seen::default());
        self.ask(Query::First);
        self.begin_step();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::transcript::{RULES, page_from, time};
    use super::*;
    use crate::domain::checkpoint::{Checkpoint, Progress};
    use crate::domain::page::{End, Next, Rules, Traded};
    use crate::domain::scope::Scope;
    use crate::domain::ticker::Ticker;

    /// A page without rows that names a cursor is not the end of the list.
    #[test]
    fn a_description_of_nothing_is_not_borne_out_by_a_page_that_names_a_cursor() {
        let row = Checkpoint::first(Ticker::new("KX").unwrap(), time("0"));
        for (answers, proven) in
            [(["@100 >c1", "@100 >c2", "@100 >c3"], 0), (["@100 >c1", "@100 >c2", "@100"], 1)]
        {
            let mut walk = Walk::new(&row, RULES).traded(Traded::Never(time("100")));
            let walked = answers.map(|answer| walk.page(page_from(answer)));
            let found = walked.iter().filter(|walked| !walked.progress.is_empty());
            assert_eq!(found.filter(|walked| !walked.heard().is_empty()).count(), proven);
            assert_eq!(walk.next(), Next::Done(End::Level), "{answers:?}");
        }
    }

    /// An empty list of a market without a description proves nothing; the pass decides whether it is silence.
    #[test]
    fn a_market_that_nobody_has_described_is_heard_and_not_claimed() {
        let mut row = Checkpoint::first(Ticker::new("KX").unwrap(), time("0"));
        for (checked, traded, heard, proven) in [
            (None, Traded::Unknown, 1, 0),
            (Some(time("95")), Traded::Unknown, 1, 1),
            (None, Traded::Never(time("100")), 1, 1),
            (None, Traded::Stored, 0, 0),
        ] {
            row.checked_until = checked;
            let mut walk = Walk::new(&row, RULES).traded(traded);
            let walked = walk.page(page_from("@100"));
            assert_eq!(walked.heard().len(), heard, "{checked:?} {traded:?}");
            assert_eq!(walked.progress.len(), proven, "{checked:?} {traded:?}");
            assert_eq!(matches!(walk.next(), Next::Done(End::Level)), heard == 1, "{traded:?}");
        }
    }

    /// A month without trades takes few questions, because each reaches twice as far.
    #[test]
    fn a_long_time_of_nothing_takes_few_questions() {
        let row = Checkpoint {
            complete_until: Some(time("100")),
            level_at: Some(time("100")),
            ..Checkpoint::first(Scope::Tape, time("0"))
        };
        let step = Some(Duration::from_secs(600));
        let mut walk = Walk::new(&row, Rules { step, ..RULES });
        let mut questions = 0;
        let completed = loop {
            let Next::Fetch(asked) = walk.next() else { panic!("{:?}", walk.next()) };
            let is_shown = |at: &i64| asked.max_ts.is_none_or(|until| *at < until);
            let rows = [2_592_000, 2_591_990].into_iter().filter(is_shown);
            let rows: Vec<String> = rows.map(|at| format!("A:a{at}")).collect();
            let answer = format!("@2600000 {}", rows.join(" "));
            questions += 1;
            let walked = walk.page(page_from(&answer));
            let mut progress = walked.progress.into_iter().map(|(_, progress)| progress);
            if let Some(Progress::Completed(completed)) = progress.next_back() {
                break completed;
            }
            assert!(questions < 100, "{asked:?}");
        };
        assert!(questions < 25, "{questions}");
        assert!(completed.window.unwrap().until() >= time("2592000"));
    }
}
