//! The instant up to which a list of changes can be believed. Pure.

use std::time::Duration;

use super::time::{CLOCK_SLACK, Timestamp};

/// A newest trade older than this says nothing about now: the exchange is quiet, or no pass has read since.
const QUIET: Duration = Duration::from_secs(86_400);

/// The earliest instant of the answers while lists were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard(Option<Timestamp>);

impl Heard {
    /// Notes the instant of an answer.
    pub fn hear(&mut self, told_at: Timestamp) {
        self.0 = Some(self.0.map_or(told_at, |least| least.min(told_at)));
    }

    /// The instant before which every change was on the lists, as far as that is proven. It is not later than any
    /// answer, our own clock, or the newest known trade. A clock that is ahead would skip the changes until then for
    /// good; a mark that is too early only costs rows.
    pub fn until(self, newest_trade: Option<Timestamp>, our_now: Timestamp) -> Option<Timestamp> {
        let clocks = self.0?.min(our_now);
        let trade = newest_trade.filter(|trade| clocks.since(*trade) <= QUIET);
        Some(trade.map_or(clocks, |trade| trade.min(clocks)))
    }
}

/// Whether such a mark lies in the future, later than both clocks show.
pub fn is_from_a_future(mark: Timestamp, exchange_now: Timestamp, our_now: Timestamp) -> bool {
    mark > exchange_now.max(our_now).after(CLOCK_SLACK)
}

/// A trade later than this is impossible and proves nothing.
pub fn latest_credible_trade(exchange_now: Timestamp, our_now: Timestamp) -> Timestamp {
    exchange_now.max(our_now).after(Duration::from_secs(86_400))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    fn heard(answers: &[i64]) -> Heard {
        let mut heard = Heard::default();
        for second in answers {
            heard.hear(at(*second));
        }
        heard
    }

    #[test]
    fn the_earliest_witness_counts() {
        let (ours, day) = (200_000, 86_400);
        for (answers, trade, until, why) in [
            (&[200_000, 200_001][..], Some(199_999), Some(199_999), "the newest trade"),
            (&[210_800, 200_001], Some(199_999), Some(199_999), "one server is hours ahead"),
            (&[210_800, 210_801], Some(199_999), Some(199_999), "all servers are"),
            (&[210_800], None, Some(200_000), "and no trade is known"),
            (&[210_800], Some(200_000 - day - 1), Some(200_000), "or only an old one"),
            (&[199_000, 200_001], Some(199_999), Some(199_000), "an old answer from a cache"),
            (&[200_000], Some(205_000), Some(200_000), "a trade after all clocks"),
            (&[], Some(199_999), None, "nothing was heard"),
        ] {
            let until_then = heard(answers).until(trade.map(at), at(ours));
            assert_eq!(until_then, until.map(at), "{why}");
        }
    }

    #[test]
    fn a_mark_is_false_only_when_both_clocks_show_less() {
        assert!(is_from_a_future(at(1_000), at(900), at(100)));
        assert!(!is_from_a_future(at(1_000), at(100), at(1_000)), "the exchange may be behind");
        assert!(!is_from_a_future(at(1_000), at(1_000), at(100)), "and so may we");
        assert!(!is_from_a_future(at(1_000), at(995), at(995)), "whole seconds over a network");
    }

    proptest! {
        #[test]
        fn no_mark_is_later_than_anything_heard(
            answers in proptest::collection::vec(0_i64..10_000, 0..5),
            trade in proptest::option::of(0_i64..10_000),
            ours in 0_i64..10_000,
        ) {
            if let Some(until) = heard(&answers).until(trade.map(at), at(ours)) {
                let mut all = answers.iter().copied().chain(trade).chain([ours]);
                prop_assert!(all.all(|second| until <= at(second)));
            }
        }
    }
}
