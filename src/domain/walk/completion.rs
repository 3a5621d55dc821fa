//! A window that was read to its lower edge: what that proves, and what comes next.

use super::super::checkpoint::{Claim, Completed, Correction, Level, Progress, Window};
use super::super::density::Density;
use super::super::evidence::{Anchor, Evidence};
use super::super::page::{End, Guard, Page, Traded, Walked};
use super::super::time::Timestamp;
use super::super::trade::Event;
use super::{Held, Origin, Question, Walk};

impl Walk {
    /// The window being read, as far as its first page says where it ends.
    pub(super) fn window(&self) -> Option<Window> {
        let until = self.fixed_until.or(self.evidence.as_ref()?.edge())?;
        Window::new(self.from, self.from.map_or(until, |from| until.max(from)))
    }

    /// The anchor that the window leaves.
    pub(super) fn next_anchor(&self) -> Option<Anchor> {
        if self.origin == Origin::Inherited {
            return self.inherited_anchor.clone();
        }
        self.evidence.as_ref()?.newest().cloned()
    }

    /// The window is read. After an inherited one or a slice, the span since then is opened.
    pub(super) fn complete(&mut self, walked: &mut Walked) {
        self.find_false_anchor();
        let corrections = std::mem::take(&mut self.corrections);
        let (after, before): (Vec<_>, Vec<_>) =
            corrections.into_iter().partition(|row| row.claim == Claim::CompleteFrom);
        let market = self.market.clone();
        let corrected = |row: Correction| (market.clone(), Progress::Corrected(row));
        walked.progress.extend(before.into_iter().map(corrected));
        let (level, anchor) = (self.level(), self.next_anchor());
        let window = self.window().or_else(|| self.window_of_silence());
        // Of a young market it is its first trade.
        let footing = self.next_footing.or(self.low).filter(|_| self.origin != Origin::Inherited);
        let completed = Completed { window, anchor: anchor.clone(), footing, level };
        walked.progress.push((market.clone(), Progress::Completed(completed)));
        walked.progress.extend(after.into_iter().map(corrected));
        if level.is_some() {
            let heard = self.evidence.as_ref().and_then(Evidence::heard_until);
            walked.heard.extend(heard.map(|until| (market.clone(), until)));
        }
        match (self.origin, window) {
            (Origin::Inherited | Origin::Slice, Some(window)) => self.open_next(window, anchor),
            _ => self.end = Some(End::Level),
        }
    }

    /// Nothing was ever traded, by two different answers: of the page, and of the description.
    pub(super) fn window_of_silence(&self) -> Option<Window> {
        let settled = self.evidence.as_ref()?.settled();
        let until = match self.traded {
            // What is stored says otherwise: neither the page nor the description is believed so far.
            Traded::Never(as_of) if !self.held.has_trades => {
                settled.min(as_of.before(self.rules.settle).floor())
            }
            Traded::Never(_) | Traded::Unknown | Traded::Ever(_) => self.from?,
        };
        Window::new(self.from, self.from.map_or(until, |from| until.max(from)))
    }

    /// Whether the window reaches up to the newest trade, and whether that is still the one of before.
    pub(super) fn level(&self) -> Option<Level> {
        if self.origin != Origin::Own {
            return None;
        }
        let evidence = self.evidence.as_ref()?;
        let is_same =
            |newest: &Anchor| self.held.is_anchor_shown && self.anchor_at() == Some(newest.at);
        let is_quiet = evidence.newest().is_none_or(is_same);
        Some(Level { quiet_until: evidence.heard_until().filter(|_| is_quiet) })
    }

    /// The newest trade below all that the next walk reads.
    pub(super) fn find_footing(&mut self, events: &[Event]) {
        if self.next_footing.is_none()
            && let Some(until) = self.window().map(Window::until)
        {
            let edge = until.before(self.rules.overlap);
            let times = events.iter().map(|event| event.trade.traded_at);
            self.next_footing = times.into_iter().find(|at| *at < edge);
        }
    }

    /// An anchor that two different questions did not show was taken out of the exchange's list.
    pub(super) fn find_false_anchor(&mut self) {
        let is_false = self.expected_anchor().is_some() && !self.held.is_anchor_shown;
        let Some(anchor) = self.held.anchor.take_if(|_| is_false) else { return };
        let next = self.next_anchor();
        let proven = next.as_ref().map(|next| next.at);
        let reason = "the exchange no longer shows the newest trade that was stored";
        if let (Some(claimed), Some(next)) = (self.held.claim, proven)
            && next.floor() < claimed
        {
            let proven = Some(next.floor()).max(self.held.complete_from);
            let claim = Claim::CompleteUntil;
            self.corrections.push(Correction { claim, claimed, proven, reason });
            (self.held.claim, self.from) = (proven, proven);
        }
        let claim = Claim::Anchor(next);
        self.corrections.push(Correction { claim, claimed: anchor.at, proven, reason });
    }

    pub(super) fn open_next(&mut self, window: Window, anchor: Option<Anchor>) {
        let until = window.until();
        let settled = self.evidence.as_ref().map(Evidence::settled);
        // What is late for a slice that was read just now was read, unless it is as late as this.
        let reread_floor = settled
            .filter(|_| self.origin == Origin::Slice)
            .map(|settled| settled.before(self.rules.overlap));
        let is_first = self.held.claim.is_none();
        let held = Held {
            complete_from: if is_first { window.from() } else { self.held.complete_from },
            claim: Some(until),
            has_trades: self.held.has_trades || self.low.is_some(),
            // One from above a slice is still to be shown.
            anchor: match (anchor, self.held.anchor.take()) {
                (Some(new), Some(old)) if old.at > new.at => Some(old),
                (new, old) => new.or(old),
            },
            is_anchor_shown: false,
            is_anchor_archived: false,
            // What is late below a slice was read just now.
            footing: None,
        };
        *self = Walk {
            held,
            next_footing: None,
            origin: Origin::Own,
            from: Some(until),
            fixed_until: None,
            question: Question::First,
            is_bare: false,
            confirming: None,
            quantity_e2: 0,
            evidence: None,
            inherited_anchor: None,
            low: None,
            density: Density::default(),
            previous: None,
            gaps_asked: Vec::new(),
            gap_believed: None,
            reread_floor,
            is_restarted: false,
            ..self.clone()
        };
        self.begin_slice();
    }

    /// The archive's newest page: a market that traded there only has its anchor there.
    pub(super) fn archived(&mut self, page: &Page) -> Walked {
        let mut walked = self.walked(Vec::new(), Vec::new(), page.exchange_now);
        let Some(newest) = page.newest() else {
            self.end = Some(End::Guarded(Guard::NothingShown));
            return walked;
        };
        let from = self.from.or(self.rules.cutoff.map(Timestamp::ceil));
        let from = from.unwrap_or_else(|| newest.at.ceil());
        if let Some(window) = Window::new(Some(from), from) {
            let quiet_until = self.evidence.as_ref().and_then(Evidence::heard_until);
            let level = Some(Level { quiet_until });
            let completed =
                Completed { window: Some(window), anchor: Some(newest), footing: None, level };
            walked.progress.push((self.market.clone(), Progress::Completed(completed)));
            walked.heard.extend(quiet_until.map(|until| (self.market.clone(), until)));
        }
        self.end = Some(End::Level);
        walked
    }
}
