//! Guards against answers that contradict each other.

use super::super::density::Density;
use super::super::page::{Guard, Page};
use super::super::time::Timestamp;
use super::super::trade::RawEvent;
use super::states::{Oldest, Query};
use super::{PASSES_MISSED_MIN, Verdict, Walk};

impl Walk {
    pub(super) fn inspect(&self, page: &Page) -> Verdict {
        let times = || page.events.iter().map(|event| event.trade.traded_at);
        if let (Some(previous), Some(first)) = (&self.chain.previous, times().next())
            && first > previous.at
        {
            return Verdict::StartedOver;
        }
        if !times().is_sorted_by(|newer, older| newer >= older) {
            return Verdict::Broken(Guard::Unordered);
        }
        if self.ends_too_soon(page) {
            return Verdict::Broken(Guard::EndsTooSoon);
        }
        if self.leaves_out_the_oldest(page) {
            return Verdict::Broken(Guard::OldestMissing);
        }
        if page.foreign > 0 {
            return Verdict::Broken(Guard::ForeignRows);
        }
        let cursor = match &self.chain.question {
            Query::Next(cursor) => Some(cursor),
            _ => None,
        };
        if page.is_empty() {
            return Verdict::Sound;
        }
        if cursor.is_some() && page.cursor.as_ref() == cursor {
            return Verdict::Broken(Guard::CursorRepeats);
        }
        let has_news = |previous: &Oldest| {
            !page.rejected.is_empty()
                || page.events.iter().any(|event| {
                    event.trade.traded_at < previous.at
                        || !previous.ids.contains(&event.trade.trade_id)
                })
        };
        match &self.chain.previous {
            Some(previous) if page.cursor.is_some() && !has_news(previous) => {
                Verdict::Broken(Guard::NothingNew)
            }
            _ => Verdict::Sound,
        }
    }

    /// The oldest trade seen, if the current question begins a chain by time: that question asks for the trade once
    /// more.
    fn asked_again(&self) -> Option<Timestamp> {
        let is_by_time = matches!(self.chain.question, Query::Below(_) | Query::Confirm(_));
        self.seen.low.filter(|_| is_by_time && !self.is_below_the_live_tier())
    }

    /// Whether the page shows older trades but not the oldest one seen. Such a server has not received that trade
    /// yet, nor the trades around it.
    pub(super) fn leaves_out_the_oldest(&self, page: &Page) -> bool {
        let Some(low) = self.asked_again().filter(|_| self.failures < PASSES_MISSED_MIN) else {
            return false;
        };
        let mut times = page.events.iter().map(|event| event.trade.traded_at);
        let is_passed = times.clone().any(|at| at < low);
        is_passed && !times.any(|at| at == low)
    }

    /// Whether the list ends above the oldest trade seen. That is a fault of the server, not the end.
    pub(super) fn ends_too_soon(&self, page: &Page) -> bool {
        let Some(low) = self.asked_again() else { return false };
        let would_end = page.cursor.is_none() || page.is_empty();
        let is_asked = self.ask_from().is_none_or(|edge| edge <= low);
        let is_reached = page.events.iter().any(|event| event.trade.traded_at <= low);
        would_end && is_asked && !is_reached
    }

    pub(super) fn remember_oldest(&mut self, events: &[RawEvent]) {
        let Some(last) = events.last() else { return };
        self.seen.counted.add(events, self.seen.low, self.chain.previous.as_ref());
        let at = last.trade.traded_at;
        let ties = events.iter().rev().take_while(|event| event.trade.traded_at == at);
        let mut ids: Vec<Box<str>> = ties.map(|event| event.trade.trade_id.clone()).collect();
        if let Some(previous) = &mut self.chain.previous
            && previous.at == at
        {
            ids.append(&mut previous.ids);
        }
        let density = Density::of_events(events);
        self.seen.density = self.seen.density.joined(density);
        self.chain.previous = Some(Oldest { at, ids, density, has_unreadable: false });
        self.seen.low = Some(self.seen.low.map_or(at, |low| low.min(at)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::transcript::play;

    #[test]
    fn an_answer_that_leaves_out_the_oldest_trade_seen_is_of_a_server_that_is_behind() {
        play(
            "have new
             ask .. | @100 a95 b94 | a b | =
             ask ..95 | @100 z60 y50 | y z | =
             guarded OldestMissing
             # also where the walk goes on by time
             have new open ..95 low 80 failed
             ask ..81 | @100 z60 y50 >c1 | y z | =
             guarded OldestMissing
             # not for ever: it may have been taken back
             again
             ask ..81 | @100 z60 y50 | y z | =
             ask ..51 | @100 y50 | y | done ..95
             cut",
        );
    }

    #[test]
    fn an_answer_that_begins_below_and_ends_above_the_oldest_trade_seen_is_not_believed() {
        for answer in ["@100 | |", "@100 >c1 | |", "@100 c94.9 | c |"] {
            play(&format!(
                "have new
                 ask .. | @100 a95 b94 | a b | =
                 ask ..95 | {answer} =
                 guarded EndsTooSoon"
            ));
        }
    }

    /// More trades of one microsecond than a page holds.
    #[test]
    fn a_trade_of_the_same_instant_is_no_news_two_pages_later() {
        play(
            "have new
             ask .. | @200 a150 >c1 | a | new open ..150 ^a150 at c1 low 150
             ask .. c1 | @200 b150 >c2 | b | new open ..150 ^a150 at c2 low 150
             ask .. c2 | @200 a150 >c3 | a | =
             guarded NothingNew",
        );
    }
}
