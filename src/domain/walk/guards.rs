//! Answers that make no sense together.

use super::super::density::Density;
use super::super::page::{Guard, Page};
use super::super::trade::Event;
use super::states::{Oldest, Question};
use super::{Verdict, Walk};

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
        if page.foreign > 0 {
            return Verdict::Broken(Guard::ForeignRows);
        }
        let cursor = match &self.chain.question {
            Question::Next(cursor) => Some(cursor),
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
                || page.foreign > 0
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

    /// Going on by time asks for the oldest trade seen once more. A list that ends above it is a
    /// hiccup, not the end.
    pub(super) fn ends_too_soon(&self, page: &Page) -> bool {
        let is_by_time = matches!(self.chain.question, Question::Below(_) | Question::Confirm(_));
        let Some(low) = self.seen.low.filter(|_| is_by_time && self.chain.previous.is_none())
        else {
            return false;
        };
        let would_end = page.cursor.is_none() || page.is_empty();
        let is_asked = self.ask_from().is_none_or(|edge| edge <= low);
        let is_reached = page.events.iter().any(|event| event.trade.traded_at <= low);
        would_end && is_asked && !is_reached
    }

    pub(super) fn remember_oldest(&mut self, events: &[Event]) {
        let Some(last) = events.last() else { return };
        let at = last.trade.traded_at;
        let ties = events.iter().rev().take_while(|event| event.trade.traded_at == at);
        let mut ids: Vec<Box<str>> = ties.map(|event| event.trade.trade_id.clone()).collect();
        if let Some(previous) = &mut self.chain.previous
            && previous.at == at
        {
            ids.append(&mut previous.ids);
        }
        self.seen.counted.add(events, self.seen.low);
        let density = Density::of_events(events);
        self.seen.density = self.seen.density.joined(density);
        self.chain.previous = Some(Oldest { at, ids, density, has_unreadable: false });
        self.seen.low = Some(self.seen.low.map_or(at, |low| low.min(at)));
    }
}
