//! A job is one walk to be done: its scope, its riders, and its start.

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

/// A walk to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// One market by itself.
    Market(Checkpoint),
    /// The tape, for its own checkpoint if it was selected, and for the riders.
    Tape {
        /// The checkpoint of the tape; `None` if only the trades of the riders are wanted.
        tape: Option<Checkpoint>,
        /// Level markets that are read from the tape.
        riders: Vec<Checkpoint>,
    },
    /// A slice of a backfill.
    Slice {
        /// The row of the ledger.
        slice: Slice,
        /// For the tape read for some markets: the markets whose rows are kept.
        keep: Option<Arc<HashSet<Ticker>>>,
    },
}

/// The facts beside the checkpoints that answers are compared with.
#[derive(Debug, Default)]
pub struct Background {
    /// Whether each market has ever traded.
    pub traded: HashMap<Ticker, Traded>,
    /// The newest trade of the tape that earlier passes were shown.
    pub newest: Option<Anchor>,
    /// Slices of which other figures of the exchange say that nothing is missing.
    pub vouched: HashSet<SliceKey>,
    /// The instant below which the live tier has shown all its trades; `None` if that holds everywhere.
    pub settled_until: Option<Timestamp>,
}

impl Background {
    /// The facts about a slice.
    fn known(&self, key: &SliceKey) -> SliceKnown {
        SliceKnown {
            traded: self.traded(key.scope()),
            is_vouched: self.vouched.contains(key),
            is_unsettled: self.is_unsettled(key),
        }
    }

    /// Whether a slice reaches above [`settled_until`](Background::settled_until).
    pub fn is_unsettled(&self, key: &SliceKey) -> bool {
        let is_above = |until: Timestamp| key.tier() == Tier::Live && until < key.until();
        self.settled_until.is_some_and(is_above)
    }

    /// Whether a market has ever traded, by its description.
    fn traded(&self, scope: &Scope) -> Traded {
        let market = scope.market();
        market.and_then(|market| self.traded.get(market)).copied().unwrap_or_default()
    }
}

impl Job {
    /// The market, the tape or the group that is read.
    pub fn scope(&self) -> Scope {
        match self {
            Job::Market(checkpoint) => checkpoint.scope.clone(),
            Job::Tape { .. } => Scope::Tape,
            Job::Slice { slice, .. } => slice.key.scope().clone(),
        }
    }

    /// The scopes of the checkpoints that the job is to move.
    pub fn scopes(&self) -> Vec<Scope> {
        match self {
            Job::Market(_) | Job::Slice { .. } => vec![self.scope()],
            Job::Tape { tape, riders } => {
                let own = tape.iter().map(|row| row.scope.clone());
                own.chain(riders.iter().map(|row| row.scope.clone())).collect()
            }
        }
    }

    /// The number of these scopes.
    pub fn market_count(&self) -> usize {
        match self {
            Job::Market(_) | Job::Slice { .. } => 1,
            Job::Tape { tape, riders } => riders.len() + usize::from(tape.is_some()),
        }
    }

    /// The slice of the job; None outside a backfill.
    pub fn slice_key(&self) -> Option<&SliceKey> {
        match self {
            Job::Slice { slice, .. } => Some(&slice.key),
            Job::Market(_) | Job::Tape { .. } => None,
        }
    }

    /// The walk of the job, at its start.
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

    /// The jobs that replace this one if no answer about the tape can be believed: each rider is read alone. No other
    /// job has a replacement.
    pub fn instead(self) -> Vec<Job> {
        match self {
            Job::Tape { riders, .. } => riders.into_iter().map(Job::Market).collect(),
            Job::Market(_) | Job::Slice { .. } => Vec::new(),
        }
    }
}
