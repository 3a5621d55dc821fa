//! The starts of a walk: at its checkpoint, at an interrupted walk, or at a given window.

use std::time::Duration;

use super::Walk;
use super::states::{Chain, Depth, Expected, Held, Oldest, Query, Repeats, Seen, Span, Start};
use crate::domain::checkpoint::{Checkpoint, Claim, Correction, OpenWalk};
use crate::domain::density::Density;
use crate::domain::evidence::Anchor;
use crate::domain::page::{Rules, Traded};
use crate::domain::scope::Scope;
use crate::domain::tier::Tier;
use crate::domain::time::Timestamp;

impl Walk {
    /// Continues the walk of the checkpoint, or opens a new window above its claim.
    pub fn new(checkpoint: &Checkpoint, rules: Rules) -> Walk {
        let held = Held::of(checkpoint, rules);
        let is_archived = matches!(held.expected, Expected::Archived);
        let mut walk = Walk {
            scope: checkpoint.scope.clone(),
            tier: Tier::Live,
            rules,
            traded: Traded::Unknown,
            failures: checkpoint.failures,
            start: Start::of(held.claim.or(rules.since.map(Timestamp::floor))),
            depth: if is_archived { Depth::ToEnd } else { Depth::ToEdge },
            held,
            span: Span::Own,
            chain: Chain::of(Query::First),
            seen: Seen::default(),
            repeats: Repeats::default(),
            head_edge: None,
            nothing_until: None,
            ends_believed: u32::from(checkpoint.walk.is_some() && checkpoint.failures > 0),
            reread_floor: None,
            corrections: Vec::new(),
            pages: 0,
            end: None,
        };
        if let Some(open) = &checkpoint.walk {
            walk.span = Span::Inherited {
                until: open.window.until(),
                anchor: open.anchor.clone(),
                stopped_at: open.low,
            };
            walk.resume(open);
        }
        walk.leave_to_the_archive();
        walk
    }

    /// The same walk, with the facts about the trading of its market.
    #[must_use]
    pub fn traded(self, traded: Traded) -> Walk {
        Walk { traded, ..self }
    }

    /// The same walk, but a scope that was never read and has no other lower edge begins `span` before the newest
    /// trade.
    #[must_use]
    pub(in crate::domain) fn beginning_ago(self, span: Duration) -> Walk {
        let is_free = self.start == Start::Unbounded && self.span == Span::Own;
        Walk { start: if is_free { Start::Ago(span) } else { self.start }, ..self }
    }

    /// The same walk, with an anchor that the checkpoint does not name.
    #[must_use]
    pub(in crate::domain) fn anchored(mut self, anchor: Option<Anchor>) -> Walk {
        self.held.expected = Expected::of(anchor);
        self
    }

    /// A walk of this one window only, whether it was begun before or not. `is_vouched` says that other figures of
    /// the exchange also show that no trade of it is missing.
    pub(in crate::domain) fn of_window(
        scope: Scope,
        tier: Tier,
        open: &OpenWalk,
        is_vouched: bool,
        rules: Rules,
    ) -> Walk {
        let nobody = Checkpoint::first(scope, open.window.until());
        let mut walk = Walk::new(&nobody, rules);
        let (until, stopped_at) = (open.window.until(), open.low);
        walk.span = Span::Given { until, stopped_at, is_vouched };
        walk.resume(open);
        Walk { tier, ..walk }
    }

    fn resume(&mut self, open: &OpenWalk) {
        self.start = Start::of(open.window.from());
        self.seen.low = open.low;
        self.held.confirms_ends = true;
        // An anchor above the position of the walk cannot be shown below it.
        let is_below = |anchor: &Anchor| open.low.is_none_or(|low| anchor.at < low);
        if self.held.expected.anchor().is_some_and(|anchor| !is_below(anchor)) {
            self.held.expected = Expected::Nothing;
        }
        if let Some(cursor) = &open.cursor {
            self.chain.question = Query::Next(cursor.clone());
            let density = Density::default();
            let resumed = |at| Oldest { at, ids: Vec::new(), density, has_unreadable: false };
            self.chain.previous = open.low.map(resumed);
        } else if let Some(low) = open.low {
            self.chain.question = Query::Below(low);
        }
    }

    /// Starts at the end of the archive if the claim ends below the live tier: trades between the two are only in the
    /// archive. If the window begins above the claim, an earlier pass moved it up and was interrupted before it could
    /// record that.
    fn leave_to_the_archive(&mut self) {
        let Some(from) = self.start.at().filter(|_| !matches!(self.span, Span::Given { .. }))
        else {
            return;
        };
        let edge = self.rules.cutoff.map_or(from, |cutoff| from.max(cutoff.ceil()));
        let was_moved = self.held.claim.is_some_and(|claim| claim < from);
        if edge == from && !was_moved {
            return;
        }
        if let Some(claimed) = self.held.claim.take() {
            let claimed = self.held.complete_from.unwrap_or(claimed);
            let reason = "older trades are in the archive, which only `backfill` reads";
            let claim = Claim::CompleteFrom;
            self.corrections.push(Correction { claim, claimed, proven: Some(edge), reason });
        }
        self.held.complete_from = Some(edge);
        self.start = Start::At(edge);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::transcript::play;

    #[test]
    fn an_interrupted_walk_has_to_be_shown_the_anchor_that_lies_below_it() {
        play(
            "have done ..95 ^z94 open 95..155 ^y154 low 100
             ask 84..101 | @200 x100 w80 | x | =
             ask ..156 | @200 y154 x100 z94 w80 | x y z* | done ..155 ^y154
             cut
             # one that it has passed was shown to an earlier pass
             have done ..95 ^z94 open 95..155 ^y154 low 90.5
             ask 84..91 | @200 x90.5 w80 | x* | done ..155 ^y154
             cut
             # so was one of the instant at which it stopped
             have done ..95 ^z94 open 95..155 ^y154 low 94
             ask 84..95 | @200 x94 w80 | x* | done ..155 ^y154
             cut",
        );
    }
}
