//! Evidence: the proof by an answer of the exchange. Pure.
//!
//! One answer is never proof. A walk proves that it has shown all trades from the newest trade of its first page
//! down. It proves nothing about trades after that one, whatever the `Date` of the answer says. So a claim moves up
//! to the newest trade that was shown and no further, and freshness is a separate value.

use std::time::Duration;

use super::page::Page;
use super::time::{CLOCK_SLACK, Timestamp};

/// The newest trade of a market below which nothing is missing. Every healthy answer to a question from there upwards
/// shows it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The time of the trade.
    pub at: Timestamp,
    /// The id of the trade; `None` in rows of older versions.
    pub id: Option<Box<str>>,
}

impl Anchor {
    /// Whether a page holds the anchor.
    pub(super) fn is_on(&self, page: &Page) -> bool {
        // Only the id is compared, because the exchange may report another time for the trade by now.
        page.events.iter().map(|event| &event.trade).any(|trade| match &self.id {
            Some(id) => *id == trade.trade_id,
            None => trade.traded_at == self.at,
        })
    }
}

/// The clocks of the machines that run the passes of a shard may differ by this much.
pub(super) const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

/// One instant on two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockPair {
    /// The clock of the exchange: the `Date` of an answer.
    pub date: Timestamp,
    /// Our clock.
    pub ours: Timestamp,
}

impl ClockPair {
    /// The clock of the exchange minus ours, in microseconds.
    pub fn offset_us(self) -> i64 {
        self.date.micros().saturating_sub(self.ours.micros())
    }

    /// Whether our clock was set back since `before`, while the clock of the exchange went on.
    fn is_set_back_since(self, before: ClockPair) -> bool {
        before.is_ahead_of(self.ours) && before.date <= self.date
    }

    /// Whether our clock at this pair was ahead of `ours` by more than clocks may differ.
    fn is_ahead_of(self, ours: Timestamp) -> bool {
        ours.after(CLOCKS_DIFFER) < self.ours
    }

    /// Whether both clocks moved alike since `before`. A clock that stands still, jumps, or belongs to another server
    /// proves nothing about now.
    pub fn has_moved_alike(self, before: ClockPair) -> bool {
        let apart = self.offset_us().saturating_sub(before.offset_us());
        apart.unsigned_abs() <= u64::try_from(CLOCK_SLACK.as_micros()).unwrap_or(u64::MAX)
    }
}

/// The facts known about the clock of the exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExchangeClock {
    /// The last pair of the pass before, or the first pair of this one.
    base: Option<ClockPair>,
    /// The clock of the exchange minus ours when both last moved alike, in microseconds.
    offset_us: Option<i64>,
    /// The last pair heard in this pass.
    last: Option<ClockPair>,
    /// Whether an answer of this pass agreed with the base.
    is_confirmed: bool,
    /// Whether the base comes from an earlier pass.
    is_known: bool,
}

impl ExchangeClock {
    /// The state that an earlier pass left.
    pub fn remembered(base: Option<ClockPair>, offset_us: Option<i64>) -> ExchangeClock {
        let is_known = base.is_some();
        ExchangeClock { base, offset_us, is_known, ..ExchangeClock::default() }
    }

    /// Notes the `Date` of an answer.
    pub fn hear(&mut self, pair: ClockPair) {
        let before = self.last.or(self.base);
        self.last = Some(pair);
        if before.is_some_and(|before| pair.is_set_back_since(before)) {
            // After that, our clock cannot show how far the clock of the exchange has moved, so this answer is the
            // first.
            self.base = Some(pair);
        }
        let base = *self.base.get_or_insert(pair);
        if pair.has_moved_alike(base) {
            self.offset_us = Some(pair.offset_us());
            self.is_confirmed = true;
        }
    }

    /// Notes the time of a trade that was shown: the trade is not later than now, whatever our clock says. A time
    /// that is also later than the `Date` of the answers is ignored.
    pub fn show(&mut self, traded_at: Timestamp) {
        let Some(last) = self.last else { return };
        let is_late = traded_at > self.now(last.ours).after(CLOCK_SLACK);
        if is_late && traded_at <= last.date.after(CLOCK_SLACK) {
            self.offset_us = Some(ClockPair { date: traded_at, ..last }.offset_us());
        }
    }

    /// The pair that an answer has to agree with to count as new.
    pub fn base(&self) -> Option<ClockPair> {
        self.base
    }

    /// The last pair heard. The next pass compares with it.
    pub fn last(&self) -> Option<ClockPair> {
        self.last
    }

    /// Whether an answer of this pass showed a time that moved as our clock did.
    pub fn is_confirmed(&self) -> bool {
        self.is_confirmed
    }

    /// The clock of the exchange minus ours, in microseconds, when both last moved alike. If they never did, it is
    /// the difference of the last answer.
    pub fn offset_us(&self) -> Option<i64> {
        self.offset_us.or(self.last.map(ClockPair::offset_us))
    }

    /// The current time of the exchange: its own `Date` if that is credible, else our clock plus the recorded offset.
    /// Verdict, metrics, `status` and `serve` use this one function.
    pub fn now(&self, ours: Timestamp) -> Timestamp {
        // `Date` has whole seconds, so only a larger difference counts.
        let offset_us = self.offset_us().filter(|offset| offset.unsigned_abs() >= 2_000_000);
        let now = Timestamp::from_micros(ours.micros().saturating_add(offset_us.unwrap_or(0)));
        // Our clock was set back and no answer came since: the time is not earlier than the last one told.
        let told = self.base.filter(|base| self.last.is_none() && base.is_ahead_of(ours));
        told.map_or(now, |base| now.max(base.date))
    }

    /// The latest time at which an answer received now can have been given. While no earlier pass is known, either
    /// clock may be wrong, so the earlier of the two counts: it proves less.
    pub fn given_by(&self, ours: Timestamp) -> Timestamp {
        let now = self.now(ours);
        if self.is_known { now } else { now.min(ours) }
    }
}

/// The proof by the first page of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The `Date` of the answer, less its `Age` and the settling time.
    settled: Timestamp,
    /// The same instant, if the answer can be new.
    heard_until: Option<Timestamp>,
    /// Trades later than this are impossible and prove nothing.
    latest: Timestamp,
    newest: Option<Anchor>,
}

impl Evidence {
    /// The proof by a page that was asked for without an upper bound.
    pub(super) fn of_first(page: &Page, settle: Duration, base: Option<ClockPair>) -> Evidence {
        let settled = page.exchange_now.before(settle);
        let pair = ClockPair { date: page.exchange_now, ours: page.our_now };
        let is_new = base.is_none_or(|base| pair.has_moved_alike(base));
        let latest = page.exchange_now.max(page.our_now).after(CLOCK_SLACK);
        let heard_until = is_new.then_some(settled);
        let mut evidence = Evidence { settled, heard_until, latest, newest: None };
        evidence.take(page);
        evidence
    }

    /// Takes the newest trade of a page. It is on a later page if no row of the first one could be read.
    pub(super) fn take(&mut self, page: &Page) {
        if self.newest.is_none() {
            let is_possible = |at: Timestamp| at <= self.latest;
            let trades = page.events.iter().map(|event| &event.trade);
            // Of several trades at one instant, take the first: the exchange lists the newest first.
            self.newest = trades
                .filter(|trade| is_possible(trade.traded_at))
                .reduce(|first, next| if next.traded_at > first.traded_at { next } else { first })
                .map(|trade| Anchor { at: trade.traded_at, id: Some(trade.trade_id.clone()) });
        }
    }

    /// The newest trade that was shown.
    pub(super) fn newest(&self) -> Option<&Anchor> {
        self.newest.as_ref()
    }

    /// The instant up to which a claim may go once the walk has reached its lower edge.
    pub(super) fn edge(&self) -> Option<Timestamp> {
        Some(self.newest.as_ref()?.at.min(self.settled).floor())
    }

    /// The `Date` of the answer, less its `Age` and the settling time, in whole seconds.
    pub(super) fn settled(&self) -> Timestamp {
        self.settled.floor()
    }

    /// The instant up to which silence was heard; None if the answer may be old.
    pub(super) fn heard_until(&self) -> Option<Timestamp> {
        self.heard_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::walk::tests::transcript::{page_from, time};

    fn pair(date: i64, ours: i64) -> ClockPair {
        ClockPair { date: Timestamp::from_seconds(date), ours: Timestamp::from_seconds(ours) }
    }

    #[test]
    fn now_is_the_exchanges_word_only_while_both_clocks_move_alike() {
        let at = Timestamp::from_seconds;
        let mut fresh = ExchangeClock::default();
        assert_eq!(fresh.now(at(100)), at(100), "ours until the first answer");
        fresh.hear(pair(700, 100));
        assert_eq!(fresh.now(at(101)), at(701), "the first answer is believed");
        for (told, ours, now, why) in [
            (760, 160, 760, "moved alike"),
            (765, 160, 765, "within what two readings may be apart"),
            (700, 160, 760, "stands still: our clock, and the offset on record"),
            (4_360, 160, 760, "an hour ahead at once"),
            (760, 760, 1_360, "ours was set ten minutes ahead"),
            (4_300, 30, 4_300, "ours was set back by an hour: only the exchange's went on"),
            (4_300, 50, 650, "ours is another machine's"),
            (4_300, 40, 640, "as far apart as those may be"),
            (600, 30, 630, "ours was set back, and the answer is old"),
        ] {
            let mut clock = ExchangeClock::remembered(Some(pair(700, 100)), Some(600_000_000));
            clock.hear(pair(told, ours));
            assert_eq!(clock.now(at(ours)), at(now), "{why}");
        }
    }

    #[test]
    fn a_trade_that_was_shown_is_not_later_than_now() {
        let at = Timestamp::from_seconds;
        for (told, ours, traded, now, why) in [
            (4_360, 100, 4_350, 4_350, "ours was set back by an hour"),
            (4_360, 100, 150, 150, "by less, or the server is ahead: no more than was shown"),
            (4_360, 160, 140, 160, "nothing new"),
            (4_360, 100, 110, 100, "within what two readings may be apart"),
            (4_360, 160, 9_000, 160, "nonsense"),
            (160, 160, 150, 160, "both clocks agree"),
        ] {
            let mut clock = ExchangeClock::remembered(Some(pair(100, 100)), Some(0));
            clock.hear(pair(told, ours));
            clock.show(at(traded));
            assert_eq!(clock.now(at(ours)), at(now), "{why}");
        }
        let silent = ExchangeClock::remembered(Some(pair(700, 100)), Some(600_000_000));
        for (ours, now, why) in
            [(100, 700, "as it was"), (30, 700, "ours was set back"), (50, 650, "")]
        {
            assert_eq!(silent.now(at(ours)), at(now), "nobody answers: {why}");
        }
        let mut unheard = ExchangeClock::remembered(Some(pair(100, 100)), Some(0));
        unheard.show(at(500));
        assert_eq!(unheard.now(at(160)), at(160), "nobody answered");
    }

    #[test]
    fn at_first_contact_the_earlier_clock_says_when_an_answer_was_given() {
        let at = Timestamp::from_seconds;
        for (told, ours, by) in [(4_360, 160, 160), (160, 4_360, 160)] {
            let mut first = ExchangeClock::default();
            first.hear(pair(told, ours));
            assert_eq!(first.given_by(at(ours)), at(by));
            let mut known = ExchangeClock::remembered(Some(pair(told - 60, ours - 60)), None);
            known.hear(pair(told, ours));
            assert_eq!(known.given_by(at(ours)), at(told));
        }
    }

    #[test]
    fn of_two_servers_that_answer_in_turns_the_one_that_agrees_counts() {
        let mut clock = ExchangeClock::remembered(Some(pair(100, 100)), Some(0));
        clock.hear(pair(160, 160));
        clock.hear(pair(460, 160));
        assert_eq!(clock.now(Timestamp::from_seconds(160)), Timestamp::from_seconds(160));
        assert!(clock.is_confirmed());
        assert_eq!(clock.last(), Some(pair(460, 160)), "the next pass compares with the last");
    }

    #[test]
    fn the_base_of_an_unheard_clock_is_its_first_answer() {
        let mut clock = ExchangeClock::default();
        assert_eq!((clock.base(), clock.is_confirmed()), (None, false));
        clock.hear(pair(700, 100));
        clock.hear(pair(900, 160));
        assert_eq!(clock.base(), Some(pair(700, 100)));
        let mut moved = ExchangeClock::remembered(Some(pair(700, 100)), None);
        moved.hear(pair(900, 160));
        assert!(!moved.is_confirmed(), "the only answer contradicts the pass before");
    }

    #[test]
    fn the_newest_trade_is_the_first_of_the_latest_possible_instant() {
        let newest = |answer: &str| {
            let evidence = Evidence::of_first(&page_from(answer), Duration::ZERO, None);
            evidence.newest().and_then(|newest| newest.id.clone()).unwrap_or_default()
        };
        assert_eq!(&*newest("@90000 a900 b950 c950 d100"), "b");
        assert_eq!(&*newest("@90000 z95000 a900"), "a", "an hour ahead of both clocks");
        assert_eq!(&*newest("@90000"), "");
        let mut evidence = Evidence::of_first(&page_from("@90000 !x"), Duration::ZERO, None);
        evidence.take(&page_from("@90001 a900"));
        evidence.take(&page_from("@90002 b950"));
        assert_eq!(evidence.newest().map(|newest| newest.at), Some(time("900")), "once");
    }

    #[test]
    fn only_a_new_answer_is_heard() {
        let settle = Duration::from_secs(5);
        let heard =
            |base| Evidence::of_first(&page_from("@90000 a900"), settle, base).heard_until();
        assert_eq!(heard(None), Some(time("89995")), "nothing is known that it contradicts");
        assert_eq!(heard(Some(pair(89_940, 89_940))), Some(time("89995")), "both moved alike");
        assert_eq!(heard(Some(pair(90_000, 89_940))), None, "it stands still");
    }

    /// Anchors stored by versions that did not keep ids have only a time.
    #[test]
    fn an_anchor_is_shown_by_its_id_or_else_by_its_time() {
        let anchor = |id: Option<&str>| Anchor { at: time("900"), id: id.map(Into::into) };
        let page = page_from("@90000 a901 b900");
        for (id, is_shown) in [(Some("a"), true), (Some("b"), true), (Some("c"), false)] {
            assert_eq!(anchor(id).is_on(&page), is_shown, "{id:?}");
        }
        assert!(anchor(None).is_on(&page));
        assert!(!anchor(None).is_on(&page_from("@90000 a901 b899.5")));
    }
}
