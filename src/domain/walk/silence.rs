//! Markets without any trade so far: how far their silence is believed, and until when.

use super::super::checkpoint::{Claim, Correction, Progress, Window};
use super::super::page::{Page, Traded};
use super::super::time::Timestamp;
use super::Walk;
use super::states::{Expected, Held, Span, Start};

impl Walk {
    /// The window of a market that never traded, by two different answers: of the page, and of the description.
    pub(super) fn window_of_silence(&self) -> Option<Window> {
        let settled = self.seen.evidence.as_ref()?.settled();
        let until = match self.traded {
            // A stored trade would contradict both the page and the description, so neither would be believed.
            Traded::Never(as_of) if !self.held.has_trades => {
                settled.min(as_of.before(self.rules.settle).floor())
            }
            _ => self.start.at()?,
        };
        self.window_until(until)
    }

    /// Whether there is no other statement about the market. Then the pass decides whether its silence is plausible.
    pub(super) fn is_never_heard_of(&self) -> bool {
        let Held { claim, heard_until, expected, .. } = &self.held;
        claim.is_none() && heard_until.is_none() && !matches!(expected, Expected::Archived)
    }

    /// Ends the silence of a market that shows trades. Below them nothing is known until its list was read to the
    /// end. A trade from before the end of the believed silence says that the market never was silent. Either result
    /// is committed with the rows that show it: after that commit, the database no longer shows that they were the
    /// first trades.
    pub(super) fn end_silence(&mut self, page: &Page) -> Option<Progress> {
        // If the anchor is in the archive, the live tier may still show known trades from below the cutoff.
        let archived =
            self.rules.cutoff.filter(|_| matches!(self.held.expected, Expected::Archived));
        let is_news = |at: Timestamp| archived.is_none_or(|cutoff| cutoff <= at);
        let mut times = page.events.iter().map(|event| event.trade.traded_at);
        let is_spoken = !self.held.is_read && times.clone().any(is_news);
        if !is_spoken || self.scope.is_tape() || matches!(self.span, Span::Given { .. }) {
            return None;
        }
        let from = self.held.complete_from;
        let (claim, claimed, proven) = match (self.held.claim, self.held.heard_until) {
            (Some(claimed), _) => (Claim::CompleteUntil, claimed, from),
            (None, Some(heard)) => (Claim::CheckedUntil, heard, None),
            (None, None) => return None,
        };
        // A trade may be late by as much as the overlap.
        let silent = claimed.before(self.rules.overlap);
        let is_older = |at: Timestamp| at < silent && from.is_none_or(|from| from <= at);
        if !times.any(|at| is_news(at) && is_older(at)) {
            return Some(Progress::Spoke);
        }
        if claim == Claim::CompleteUntil {
            (self.held.claim, self.start) = (proven, Start::of(proven));
        }
        self.held.heard_until = None;
        let reason = "the exchange shows older trades of a market that was taken for silent";
        Some(Progress::Corrected(Correction { claim, claimed, proven, reason }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::transcript::{RULES, page_from, play, time};
    use super::*;
    use crate::domain::batch::{Batch, Committed};
    use crate::domain::checkpoint::Checkpoint;
    use crate::domain::evidence::Anchor;
    use crate::domain::page::Rules;
    use crate::domain::ticker::Ticker;

    /// The checkpoint after one page of a market that was believed silent.
    fn after(answer: &str, row: &Checkpoint) -> Checkpoint {
        let mut walk = Walk::new(row, RULES).traded(Traded::Unknown);
        let mut batch = Batch::default();
        batch.push(walk.page(page_from(answer)));
        let commit = batch.seal(&Committed::new([row.clone()]), 1, time("300"));
        let [update] = commit.checkpoints() else { return row.clone() };
        update.next().clone()
    }

    /// A silent market that trades is read to the end of its list once.
    #[test]
    fn below_the_first_trades_after_a_silence_everything_is_read() {
        let silent = Checkpoint {
            complete_until: Some(time("100")),
            level_at: Some(time("100")),
            ..Checkpoint::first(Ticker::new("KX").unwrap(), time("0"))
        };
        let broken = after("@200 a150 c190 >c", &silent);
        assert_eq!((broken.complete_until, broken.level_at), (Some(time("100")), None));
        let whole = after(
            "@200 c190 a150 b90",
            &Checkpoint { footing: Some(time("90")), ..broken.clone() },
        );
        assert_eq!(whole.level_at, Some(time("300")), "{whole:?}");
        // This also holds for a market that had traded in the archive only.
        let rules = Rules { cutoff: Some(time("60")), ..RULES };
        let archived = Anchor { at: time("50"), id: None };
        let gone = Checkpoint { anchor: Some(archived), ..silent };
        for (row, edge) in [(&broken, None), (&whole, Some("180")), (&gone, None)] {
            assert_eq!(Walk::new(row, rules).lower_edge(), edge.map(time), "{row:?}");
        }
    }

    #[test]
    fn a_trade_from_before_the_silence_takes_back_what_was_believed_of_it() {
        let new = Checkpoint::first(Ticker::new("KX").unwrap(), time("0"));
        let silent = Checkpoint {
            complete_until: Some(time("100")),
            checked_until: Some(time("100")),
            level_at: Some(time("100")),
            ..new.clone()
        };
        let since = Checkpoint { complete_from: Some(time("50")), ..silent.clone() };
        let heard = Checkpoint { complete_until: None, level_at: None, ..silent.clone() };
        let traded = Checkpoint {
            last_trade_at: Some(time("90")),
            anchor: Some(Anchor { at: time("90"), id: None }),
            ..silent.clone()
        };
        for (row, answer, claim, is_level, why) in [
            (&silent, "@200 a150 b80 >c", None, false, "an older one: nothing is known"),
            (&silent, "@200 a150 b80 d95", None, false, "also of an answer that makes no sense"),
            (&silent, "@200 a150 >c", Some("100"), false, "all newer, so far"),
            (&since, "@200 a150 b80 >c", Some("50"), false, "down to where it begins"),
            (&since, "@200 a150 b40 >c", Some("150"), true, "older than where it begins"),
            (&traded, "@200 a150 b95 >c", Some("100"), true, "it was never silent: a late one"),
            (&heard, "@200 a150 b80 >c", None, false, "what was only heard"),
            (&silent, "@200 a150 b95 >c", Some("100"), false, "as late as any trade may be"),
            (&silent, "@200 a150 b90 >c", Some("100"), false, "just as late"),
        ] {
            let next = after(answer, row);
            assert_eq!(next.complete_until, claim.map(time), "{why}");
            assert_eq!(next.checked_until.is_some(), claim.map(time) >= Some(time("100")), "{why}");
            assert_eq!(next.level_at.is_some(), is_level, "{why}");
        }
    }

    /// The rows are the first trades of a silent market, left by an interrupted pass.
    #[test]
    fn what_a_false_silence_left_is_read_anew() {
        play(
            "have done ..100
             ask .. | @200 c190 a150 >c1 | a c | done ..100 open 100..190 ^c190 at c1 low 150
             # cut short above two others; the claim goes, and so does the beginning of the walk
             ask .. c1 | @200 b80 | b | new open ..190 ^c190 at c1 low 150
             cut
             again
             ask ..191 c1 | @300 b80 d70 e60 | b d e | =
             ask ..61 | @300 e60 | e | done ..190 ^c190
             cut
             # what the live tier still shows of the archive is nothing new
             rules cutoff=5000
             have done ..9000 ^a4990
             ask .. | @9100 a4990 b4980 | a* b* | done ..9000 ^a4990 _4990
             level",
        );
    }

    /// A walk of an older version has no anchor, so its claim is no silence.
    #[test]
    fn a_claim_without_an_anchor_that_rests_on_trades_is_no_silence() {
        let row = Checkpoint {
            complete_until: Some(time("3000")),
            level_at: Some(time("3000")),
            last_trade_at: Some(time("2990")),
            ..Checkpoint::first(Ticker::new("KX").unwrap(), time("0"))
        };
        assert_eq!(Walk::new(&row, RULES).lower_edge(), Some(time("2990")));
        let above = Checkpoint { last_trade_at: Some(time("3000")), ..row.clone() };
        assert_eq!(Walk::new(&above, RULES).lower_edge(), None, "it rests on none");
        let spoke = Checkpoint { last_trade_at: Some(time("3010")), level_at: None, ..row };
        assert_eq!(Walk::new(&spoke, RULES).lower_edge(), None);
    }

    /// The page and the description both have to say so. Each covers the trades up to its time, less the settling
    /// time.
    #[test]
    fn a_market_that_never_traded_is_claimed_as_far_as_both_say() {
        let row = Checkpoint::first(Ticker::new("KX").unwrap(), time("0"));
        for (date, as_of, until) in
            [("200", "100", "95"), ("200", "100.9", "95"), ("200", "300", "195")]
        {
            let mut walk = Walk::new(&row, RULES).traded(Traded::Never(time(as_of)));
            let walked = walk.page(page_from(&format!("@{date}")));
            let [(_, Progress::Completed(completed))] = &walked.progress[..] else {
                panic!("{walked:?}")
            };
            assert_eq!(completed.window.map(Window::until), Some(time(until)), "{date} {as_of}");
        }
    }
}
