//! Where a list ends: one answer is never proof, a second and different question has to agree.

use super::super::evidence::{Anchor, Evidence};
use super::super::page::{Guard, Page, Traded};
use super::{Origin, PASSES_MISSED_MIN, Question, Turn, Walk};

impl Walk {
    /// What to do after a sound page.
    pub(super) fn turn(&self, page: &Page) -> Turn {
        let is_below = self.low.zip(self.ask_from()).is_some_and(|(low, edge)| low < edge);
        let is_end = page.cursor.is_none() || page.is_empty();
        let is_proven = is_below || is_end;
        match self.expected_anchor() {
            Some(anchor) if is_proven && !self.held.is_anchor_shown => {
                return self.without_anchor(anchor);
            }
            _ if is_below => return Turn::Complete,
            _ => {}
        }
        match (&page.cursor, is_end) {
            (Some(cursor), false) => Turn::Ask(Question::Next(cursor.clone())),
            _ => self.at_the_end(page),
        }
    }

    /// Follows the second question about the end of a list; a row further down answers it with no.
    pub(super) fn follow_confirmation(&mut self, page: &Page) {
        let Some(confirming) = &mut self.confirming else { return };
        if self.low != confirming.low {
            self.confirming = None;
            return;
        }
        let mut times = page.events.iter().map(|event| event.trade.traded_at);
        confirming.is_shown |= times.any(|at| Some(at) == confirming.low);
    }

    /// The anchor, unless it lies above the window that is read.
    pub(super) fn expected_anchor(&self) -> Option<&Anchor> {
        let is_within = |anchor: &&Anchor| self.fixed_until.is_none_or(|until| anchor.at < until);
        self.held.anchor.as_ref().filter(is_within)
    }

    /// The list ended, and no row below the lower edge says that it had to.
    pub(super) fn at_the_end(&self, page: &Page) -> Turn {
        let Some(low) = self.low else { return self.with_nothing_shown(page) };
        // Without a footing nobody can tell; but where nothing new is claimed it does not matter so much.
        let is_below = |claim| low < claim || self.window().is_none_or(|w| w.until() <= claim);
        let is_known = self.held.footing.is_none() && !page.is_empty();
        let is_founded = self.held.footing.is_some_and(|footing| low <= footing);
        let is_claimed = is_founded || is_known && self.held.claim.is_some_and(is_below);
        let is_agreed = self.confirming.is_some_and(|confirming| confirming.is_shown);
        if is_claimed || is_agreed || self.traded == Traded::Ever(self.quantity_e2) {
            return Turn::Complete;
        }
        // The whole of a short window is asked for again, its upper end as well.
        let is_short = self.pages == 1 && self.origin == Origin::Given;
        Turn::Ask(Question::Confirm(self.fixed_until.filter(|_| is_short).unwrap_or(low)))
    }

    /// Neither page nor anchor.
    pub(super) fn with_nothing_shown(&self, page: &Page) -> Turn {
        if let Some(cursor) = page.cursor.as_ref().filter(|_| !page.is_empty()) {
            return Turn::Ask(Question::Next(cursor.clone()));
        }
        let is_never = matches!(self.traded, Traded::Never(_));
        if let Some(until) = self.fixed_until {
            // Whoever names a cursor says that there may be more: once that is looked at.
            if let Some(cursor) = page.cursor.as_ref().filter(|_| !self.has_cursor()) {
                return Turn::Ask(Question::Next(cursor.clone()));
            }
            let is_agreed = self.confirming.is_some() || is_never;
            return if is_agreed { Turn::Complete } else { Turn::Ask(Question::Confirm(until)) };
        }
        if self.is_bounded || (page.cursor.is_some() && !self.is_bare) {
            return Turn::AskBare;
        }
        if !page.is_empty() {
            // Nothing that could be read: it is kept, and nothing is claimed.
            return Turn::Idle;
        }
        match self.traded {
            _ if self.market.is_tape() => Turn::Idle,
            Traded::Ever(_) if !self.held.is_anchor_archived => Turn::Ask(Question::Archive),
            _ => Turn::Complete,
        }
    }

    /// The exchange does not show the newest trade that is stored.
    pub(super) fn without_anchor(&self, anchor: &Anchor) -> Turn {
        if !self.is_bare {
            return Turn::AskBare;
        }
        let newest = self.evidence.as_ref().and_then(Evidence::newest);
        let is_passed = self.low.is_some_and(|low| low < anchor.at);
        let has_news = newest.is_some_and(|newest| newest.at > anchor.at);
        let is_empty = newest.is_none() && matches!(self.traded, Traded::Never(_));
        let is_missed = self.failures >= PASSES_MISSED_MIN;
        let is_busted = is_passed && (has_news || is_missed) || is_empty && is_missed;
        // An answer that is merely old looks like one from which the newest trade was taken out.
        if is_busted { Turn::Complete } else { Turn::Broken(Guard::AnchorMissing) }
    }
}
