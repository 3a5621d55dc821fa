//! One walk to be done: what is read, for whom, and how it begins.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::checkpoint::Checkpoint;
use super::course::Course;
use super::evidence::Anchor;
use super::page::{Rules, Traded};
use super::scope::Scope;
use super::slice::{Slice, SliceKey};
use super::slice_walk::{SliceKnown, SliceWalk};
use super::tape::TapeWalk;
use super::ticker::Ticker;
use super::tier::Tier;
use super::time::Timestamp;
use super::walk::Walk;

/// One walk to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// One market by itself.
    Market(Checkpoint),
    /// The tape, for its own checkpoint if it was selected, and for the riders.
    Tape {
        /// The tape's own checkpoint; `None` when only the riders' trades are wanted.
        tape: Option<Checkpoint>,
        /// Level markets that are read from it.
        riders: Vec<Checkpoint>,
    },
    /// A slice of a backfill.
    Slice {
        /// What the ledger says of it.
        slice: Slice,
        /// Whose rows are kept when it is the tape read for some markets.
        keep: Option<Arc<HashSet<Ticker>>>,
    },
}

/// What is known beside the checkpoints and holds answers against something.
#[derive(Debug, Default)]
pub struct Background {
    /// Which markets have ever traded.
    pub traded: HashMap<Ticker, Traded>,
    /// The newest trade of the tape that passes before were shown.
    pub newest: Option<Anchor>,
    /// Slices of which other figures of the exchange's say that nothing is missing.
    pub vouched: HashSet<SliceKey>,
    /// Up to where the live tier has shown all that it will; `None`: everywhere.
    pub settled_until: Option<Timestamp>,
}

impl Background {
    /// What is known of a slice.
    fn known(&self, key: &SliceKey) -> SliceKnown {
        SliceKnown {
            traded: self.traded(key.scope()),
            is_vouched: self.vouched.contains(key),
            is_unsettled: self.is_unsettled(key),
        }
    }

    /// Whether a slice reaches above what the live tier has shown.
    pub fn is_unsettled(&self, key: &SliceKey) -> bool {
        let is_above = |until: Timestamp| key.tier() == Tier::Live && until < key.until();
        self.settled_until.is_some_and(is_above)
    }

    /// Whether a market has ever traded, as far as its description says.
    fn traded(&self, scope: &Scope) -> Traded {
        let market = scope.market();
        market.and_then(|market| self.traded.get(market)).copied().unwrap_or_default()
    }
}

impl Job {
    /// What is read.
    pub fn scope(&self) -> Scope {
        match self {
            Job::Market(checkpoint) => checkpoint.scope.clone(),
            Job::Tape { .. } => Scope::Tape,
            Job::Slice { slice, .. } => slice.key.scope().clone(),
        }
    }

    /// The checkpoints that it is about, by scope.
    pub fn scopes(&self) -> Vec<Scope> {
        match self {
            Job::Market(_) | Job::Slice { .. } => vec![self.scope()],
            Job::Tape { tape, riders } => {
                let own = tape.iter().map(|row| row.scope.clone());
                own.chain(riders.iter().map(|row| row.scope.clone())).collect()
            }
        }
    }

    /// How many those are.
    pub fn market_count(&self) -> usize {
        match self {
            Job::Market(_) | Job::Slice { .. } => 1,
            Job::Tape { tape, riders } => riders.len() + usize::from(tape.is_some()),
        }
    }

    /// Which slice it is, in a backfill.
    pub fn slice_key(&self) -> Option<&SliceKey> {
        match self {
            Job::Slice { slice, .. } => Some(&slice.key),
            Job::Market(_) | Job::Tape { .. } => None,
        }
    }

    /// Its walk, about to begin.
    pub fn begin(&self, rules: Rules, background: &Background) -> Box<dyn Course> {
        match self {
            Job::Market(checkpoint) => {
                let traded = background.traded(&checkpoint.scope);
                Box::new(Walk::new(checkpoint, rules).traded(traded))
            }
            Job::Tape { tape: Some(tape), riders } => {
                Box::new(TapeWalk::of_all(tape, riders, rules))
            }
            Job::Tape { tape: None, riders } => {
                Box::new(TapeWalk::of_riders(riders, background.newest.clone(), rules))
            }
            Job::Slice { slice, keep } => {
                let known = background.known(&slice.key);
                Box::new(SliceWalk::new(slice, keep.clone(), known, rules))
            }
        }
    }

    /// What the tape does not give is still to be had market by market: what is done instead when
    /// nothing of its answers can be believed. Of another job there is nothing else.
    pub fn instead(self) -> Vec<Job> {
        match self {
            Job::Tape { riders, .. } => riders.into_iter().map(Job::Market).collect(),
            Job::Market(_) | Job::Slice { .. } => Vec::new(),
        }
    }
}
