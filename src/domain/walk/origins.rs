//! Where a walk begins: at its checkpoint, at an interrupted walk, at a window of its own.

use std::time::Duration;

use super::{Held, Oldest, Origin, Question, Walk};
use crate::domain::checkpoint::{Checkpoint, Claim, Correction, OpenWalk};
use crate::domain::density::Density;
use crate::domain::evidence::Anchor;
use crate::domain::page::{Rules, Traded};
use crate::domain::tier::Tier;
use crate::domain::time::Timestamp;
use crate::domain::trade::Ticker;

impl Walk {
    /// Takes up what the checkpoint left, or opens a new window above it.
    pub fn new(checkpoint: &Checkpoint, rules: Rules) -> Walk {
        let held = Held::of(checkpoint, rules);
        let mut walk = Walk {
            market: checkpoint.market.clone(),
            tier: Tier::Live,
            rules,
            traded: Traded::Unknown,
            failures: checkpoint.failures,
            from: held.claim.or(rules.since.map(Timestamp::floor)),
            is_bare: held.is_anchor_archived,
            held,
            origin: Origin::Own,
            fixed_until: None,
            question: Question::First,
            is_bounded: false,
            confirming: None,
            quantity_e2: 0,
            evidence: None,
            inherited_anchor: None,
            next_footing: None,
            begins_ago: None,
            head_edge: None,
            low: None,
            density: Density::default(),
            previous: None,
            gaps_asked: Vec::new(),
            gap_believed: None,
            reread_floor: None,
            is_restarted: false,
            corrections: Vec::new(),
            pages: 0,
            end: None,
        };
        if let Some(open) = &checkpoint.walk {
            walk.resume(open);
        }
        walk.leave_to_the_archive();
        walk
    }

    /// The same of a market of which this is known.
    #[must_use]
    pub fn traded(self, traded: Traded) -> Walk {
        Walk { traded, ..self }
    }

    /// The same, but one that was never read and has no other lower edge begins so long before the newest trade.
    #[must_use]
    pub(in crate::domain) fn beginning_ago(self, span: Duration) -> Walk {
        let begins_ago = (self.from.is_none() && self.origin == Origin::Own).then_some(span);
        Walk { begins_ago, ..self }
    }

    /// The same with an anchor that the checkpoint does not name.
    #[must_use]
    pub(in crate::domain) fn anchored(mut self, anchor: Option<Anchor>) -> Walk {
        self.held.anchor = anchor;
        self
    }

    /// A walk of this one window, begun before or not, and of nothing else.
    pub(in crate::domain) fn of_window(
        market: Ticker,
        tier: Tier,
        open: &OpenWalk,
        rules: Rules,
    ) -> Walk {
        let nobody = Checkpoint::first(market, open.window.until());
        let mut walk = Walk::new(&nobody, Rules { slice: None, ..rules });
        walk.resume(open);
        Walk { tier, origin: Origin::Given, ..walk }
    }

    fn resume(&mut self, open: &OpenWalk) {
        self.origin = Origin::Inherited;
        self.from = open.window.from();
        self.fixed_until = Some(open.window.until());
        (self.low, self.gap_believed) = (open.low, open.low);
        self.inherited_anchor.clone_from(&open.anchor);
        // One that stands above what is still to be read cannot be shown below.
        let is_below = |anchor: &Anchor| open.low.is_none_or(|low| anchor.at < low);
        self.held.anchor = self.held.anchor.take().filter(is_below);
        if let Some(cursor) = &open.cursor {
            self.question = Question::Next(cursor.clone());
            let density = Density::default();
            let resumed = |at| Oldest { at, ids: Vec::new(), density, has_unreadable: false };
            self.previous = open.low.map(resumed);
        } else if let Some(low) = open.low {
            self.question = Question::Below(low);
        }
    }

    /// A claim that ends below the live tier does not go on over what only the archive holds.
    fn leave_to_the_archive(&mut self) {
        let Some(cutoff) = self.rules.cutoff.map(Timestamp::ceil) else { return };
        if self.origin != Origin::Own || self.from.is_none_or(|from| cutoff <= from) {
            return;
        }
        if let Some(claimed) = self.held.claim.take() {
            let claimed = self.held.complete_from.unwrap_or(claimed);
            let reason = "older trades are in the archive, which only `backfill` reads";
            let claim = Claim::CompleteFrom;
            self.corrections.push(Correction { claim, claimed, proven: Some(cutoff), reason });
        }
        self.held.complete_from = Some(cutoff);
        self.from = Some(cutoff);
    }
}
