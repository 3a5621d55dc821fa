//! The completion of a window that was read to its lower edge: its proof, and the next window.

use super::super::checkpoint::{Claim, Completed, Correction, Progress, TopEdge, Window};
use super::super::evidence::{Anchor, Evidence};
use super::super::page::{End, Guard, Page, Walked};
use super::super::time::Timestamp;
use super::super::trade::RawEvent;
use super::Walk;
use super::states::{Chain, Depth, Expected, Held, Query, Repeats, Seen, Span, Start};

impl Walk {
    /// The current window; None as long as no page gives its upper edge.
    pub(super) fn window(&self) -> Option<Window> {
        let until = self.span.until().or(self.seen.evidence.as_ref()?.edge())?;
        self.window_until(until)
    }

    /// The anchor after this window.
    pub(super) fn next_anchor(&self) -> Option<Anchor> {
        match &self.span {
            Span::Inherited { anchor, .. } => anchor.clone(),
            Span::Step { .. } | Span::Given { .. } | Span::Own => self.newest().cloned(),
        }
    }

    /// Completes the window. After an inherited window or a step, the span above it is opened.
    pub(super) fn complete(&mut self, walked: &mut Walked) {
        self.find_false_anchor();
        let is_seen_before = self.seen.low.is_some() && self.seen.low == self.span.stopped_at();
        if is_seen_before && self.chain.is_nothing {
            self.ends_believed += 1;
        }
        let corrections = std::mem::take(&mut self.corrections);
        let (after, before): (Vec<_>, Vec<_>) =
            corrections.into_iter().partition(|row| row.claim == Claim::CompleteFrom);
        let scope = self.scope.clone();
        let corrected = |row: Correction| (scope.clone(), Progress::Corrected(row));
        walked.progress.extend(before.into_iter().map(corrected));
        let (level, anchor) = (self.level(), self.next_anchor());
        let window = self.window().or_else(|| self.window_of_silence());
        // The footing of a young market is its first trade.
        let is_inherited = matches!(self.span, Span::Inherited { .. });
        let footing = self.seen.footing.or(self.seen.low).filter(|_| !is_inherited);
        let completed =
            Completed { window, anchor: anchor.clone(), footing, level, is_ridden: false };
        walked.progress.push((scope.clone(), Progress::Completed(completed)));
        walked.progress.extend(after.into_iter().map(corrected));
        if level.is_some() {
            let heard = self.seen.evidence.as_ref().and_then(Evidence::heard_until);
            walked.heard.extend(heard.map(|until| (scope.clone(), until)));
        }
        match (&self.span, window) {
            (Span::Inherited { .. } | Span::Step { .. }, Some(window)) => {
                self.open_next(window, anchor);
            }
            _ => self.end = Some(End::Level),
        }
    }

    /// The window from its start up to `until`; empty if `until` is not later than the start.
    pub(super) fn window_until(&self, until: Timestamp) -> Option<Window> {
        let from = self.start.at();
        Window::new(from, from.map_or(until, |from| until.max(from)))
    }

    /// Set if the window reaches up to the newest trade. It says whether that trade is still the earlier anchor.
    pub(super) fn level(&self) -> Option<TopEdge> {
        let evidence = self.seen.evidence.as_ref().filter(|_| self.span == Span::Own)?;
        let is_same = |newest: &Anchor| matches!(&self.held.expected, Expected::Shown(anchor) if anchor.at == newest.at);
        let is_quiet = evidence.newest().is_none_or(is_same);
        Some(TopEdge { quiet_until: evidence.heard_until().filter(|_| is_quiet) })
    }

    /// Finds the footing: the newest trade below everything that the next walk reads.
    pub(super) fn find_footing(&mut self, events: &[RawEvent]) {
        if self.seen.footing.is_none()
            && let Some(until) = self.window().map(Window::until)
        {
            let edge = until.before(self.rules.overlap);
            let times = events.iter().map(|event| event.trade.traded_at);
            self.seen.footing = times.into_iter().find(|at| *at < edge);
        }
    }

    /// Finds a false anchor: an anchor that two different questions did not show was removed from the list of the
    /// exchange.
    pub(super) fn find_false_anchor(&mut self) {
        let Some(anchor) = self.awaited_anchor().cloned() else { return };
        self.held.expected = Expected::Nothing;
        let next = self.next_anchor();
        let proven = next.as_ref().map(|next| next.at);
        let reason = "the exchange no longer shows the newest trade that was stored";
        if let (Some(claimed), Some(next)) = (self.held.claim, proven)
            && next.floor() < claimed
        {
            let proven = Some(next.floor()).max(self.held.complete_from);
            let claim = Claim::CompleteUntil;
            self.corrections.push(Correction { claim, claimed, proven, reason });
            (self.held.claim, self.start) = (proven, Start::of(proven));
        }
        let claim = Claim::Anchor(next);
        self.corrections.push(Correction { claim, claimed: anchor.at, proven, reason });
    }

    /// Opens the span above this window as the next window.
    pub(super) fn open_next(&mut self, window: Window, anchor: Option<Anchor>) {
        let until = window.until();
        // Late trades of a step that was just read were read too, unless they are later than its answer.
        let is_step = matches!(self.span, Span::Step { .. });
        let settled = self.seen.evidence.as_ref().filter(|_| is_step).map(Evidence::settled);
        self.reread_floor = settled.map(|settled| settled.before(self.rules.overlap));
        let is_first = self.held.claim.is_none();
        self.held = Held {
            complete_from: if is_first { window.from() } else { self.held.complete_from },
            claim: Some(until),
            has_trades: self.held.has_trades || self.seen.low.is_some(),
            is_read: self.held.is_read || self.seen.low.is_some(),
            heard_until: self.held.heard_until,
            // An anchor above the step is still to be shown.
            expected: Expected::of(match (anchor, self.held.expected.anchor().cloned()) {
                (Some(new), Some(old)) if old.at > new.at => Some(old),
                (new, old) => new.or(old),
            }),
            // Late trades below a step were just read, so no footing is needed.
            footing: None,
            confirms_ends: !is_step,
        };
        (self.span, self.start, self.depth) = (Span::Own, Start::At(until), Depth::ToEdge);
        self.chain = Chain::of(Query::First);
        (self.seen, self.repeats) = (Seen::default(), Repeats::default());
        self.nothing_until = None;
        self.begin_step();
    }

    /// Takes the newest page of the archive: the anchor of a market that traded only there.
    pub(super) fn archived(&mut self, page: &Page) -> Walked {
        let mut walked = self.walked(Vec::new(), Vec::new(), page.exchange_now);
        let Some(newest) = page.newest() else {
            self.end = Some(End::Guarded(Guard::NothingShown));
            return walked;
        };
        let from = self.start.at().or(self.rules.cutoff.map(Timestamp::ceil));
        let from = from.unwrap_or_else(|| newest.at.ceil());
        if let Some(window) = Window::new(Some(from), from) {
            let quiet_until = self.seen.evidence.as_ref().and_then(Evidence::heard_until);
            let level = Some(TopEdge { quiet_until });
            let (window, anchor) = (Some(window), Some(newest));
            let completed = Completed { window, anchor, footing: None, level, is_ridden: false };
            walked.progress.push((self.scope.clone(), Progress::Completed(completed)));
            walked.heard.extend(quiet_until.map(|until| (self.scope.clone(), until)));
        }
        self.end = Some(End::Level);
        walked
    }
}

#[cfg(test)]
mod tests {
    use super::super::PASSES_MISSED_MIN;
    use super::super::tests::transcript::{RULES, page_from, play, state_from, time};
    use super::*;
    use crate::domain::page::{Next, Traded};

    #[test]
    fn a_footing_lies_below_all_that_the_next_walk_reads() {
        play(
            "have done ..95 ^z94
             # the next walk reads from 145 on: b is a part of that
             ask 84.. | @160 a155 b145 c144.999999 z94 y83 | a b c z* | done ..155 ^a155 _144.999999
             level",
        );
    }

    /// The next window raises a claim that was lowered. In the other order the lowered claim would be lost.
    #[test]
    fn a_claim_is_lowered_before_the_window_above_it_is_claimed() {
        play(
            "have done ..90000 ^z94
             ask 93.. | @3100 b2000 a1000 z94 y80 | a b z | done ..2000 ^b2000 _1000
             level",
        );
    }

    /// A walk learns that the exchange ends its lists with an empty page from an end that an earlier pass saw there.
    #[test]
    fn only_an_end_that_was_shown_empty_again_makes_an_empty_end_usual() {
        let hollow =
            "ask 84.. | @200 a150 b140 >c3 | a b | done ..95 open 95..150 ^a150 at c3 low 140
             ask 84.. c3 | @200 | | =
             ask ..141 | @200 b140 >c4 | b | done ..95 open 95..150 ^a150 at c4 low 140
             ask 84.. c4 | @200 | |";
        play(&format!(
            "have new open ..95 low 80
             ask ..81 | @100 y80 >c1 | y | new open ..95 at c1 low 80
             ask ..96 c1 | @100 | | =
             ask ..81 | @100 y80 >c2 | y | new open ..95 at c2 low 80
             ask ..96 c2 | @100 | | done ..95
             {hollow} done ..150 ^a150 _140
             level"
        ));
        play(&format!(
            "have new open ..95 low 80
             ask ..81 | @100 y80 | y | =
             ask ..81 | @100 y80 | y | done ..95
             {hollow} =
             guarded EndsEmpty"
        ));
        // An end further down than the earlier pass had come was seen only once; the volume confirms it.
        let all = Traded::Ever { quantity_e2: 1, as_of: time("100") };
        let mut walk = Walk::new(&state_from("new open ..95 low 80"), RULES).traded(all);
        for answer in ["y80 x70 >c1", "", "a150 b140 >c3", "", "b140 >c4", ""] {
            assert!(matches!(walk.next(), Next::Fetch(_)), "{answer}");
            walk.page(page_from(&format!("@200 {answer}")));
        }
        assert_eq!(walk.next(), Next::Done(End::Guarded(Guard::EndsEmpty)));
    }

    /// A claim may end below the newest trade. The steps below that trade do not show it, and that is no
    /// contradiction.
    #[test]
    fn an_anchor_above_a_step_is_still_to_be_shown() {
        let begins = "rules step=60
             have done ..95 ^z200
             ask 84.. | @300 a290 z200 >x1 | a z | =
             ask 84..156 | @300 c150 d120 e80 | c d | done ..155 ^z200 _120
             ask 154..216 | @300";
        play(&format!(
            "{begins} z200 f180 c150 | f z | done ..215 ^z200 _200
             cut"
        ));
        play(&format!(
            "{begins} f180 c150 | f | =
             # the second question is without bounds
             ask ..216 | @300 f180 c150 | f | =
             guarded AnchorMissing"
        ));
        // An anchor within a step has to be shown there, also if the newest page has shown it.
        play(
            "rules step=60
             have done ..95 ^z120
             ask 84.. | @300 a290 z120 >x1 | a z | =
             ask 84..156 | @300 c150 e80 | c | =
             cut",
        );
        // An anchor at the very end of a step belongs to the next step.
        play(
            "rules step=60
             have done ..95 ^z155
             ask 84.. | @300 a290 z155 >x1 | a z | =
             ask 84..156 | @300 c150 d120 e80 | c d | done ..155 ^z155 _120
             cut",
        );
    }

    /// The exchange no longer shows the anchor, and the claim does not rest on it.
    #[test]
    fn a_false_anchor_lowers_no_claim_that_ends_below_the_newest_trade() {
        for (newest, lowered) in [("a97", 0), ("a95.5", 0), ("a94.999999", 1)] {
            let mut row = state_from("done ..95 ^z98");
            row.failures = PASSES_MISSED_MIN;
            let mut walk = Walk::new(&row, RULES);
            walk.page(page_from(&format!("@200 {newest} y80")));
            let walked = walk.page(page_from(&format!("@200 {newest} y80")));
            let claims: Vec<&Claim> = walked.corrections().map(|(_, row)| &row.claim).collect();
            let is_lowered = |claim: &&&Claim| **claim == &Claim::CompleteUntil;
            assert_eq!(claims.iter().filter(is_lowered).count(), lowered, "{newest}");
            assert_eq!(claims.len(), 1 + lowered, "{newest}: the anchor is put right");
        }
    }

    /// The walk of this pass has stored trades, so a description and an empty list cannot prove silence.
    #[test]
    fn what_an_interrupted_walk_has_shown_is_no_silence() {
        let mut walk = Walk::new(&state_from("new open ..95 low 80"), RULES)
            .traded(Traded::Never(time("5000")));
        for answer in ["@5000 y80", "@5000 y80", "@5000"] {
            walk.page(page_from(answer));
        }
        let Progress::Completed(completed) = &walk.page(page_from("@5000")).progress[0].1 else {
            panic!("{walk:?}")
        };
        assert_eq!(
            completed.window.map(Window::until),
            Some(time("95")),
            "nothing more is claimed"
        );
    }
}
