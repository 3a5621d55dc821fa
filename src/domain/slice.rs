//! A slice of a backfill: a bounded window of one market (or the tape) in one tier, its place in
//! the ledger of backfills, and the walk that reads it. Pure.

use std::collections::HashSet;
use std::sync::Arc;

use super::checkpoint::{OpenWalk, Progress, Window};
use super::page::{Page, Rules, Step, Tier, Walked};
use super::time::Timestamp;
use super::trade::{Ticker, fingerprint};
use super::walk::Walk;

/// What identifies a slice. Sorted, the oldest comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SliceKey {
    window: Window,
    market: Ticker,
    tier: Tier,
}

impl SliceKey {
    /// `market` may also be the tape, for all markets or for some (see [`group_name`]). `None`
    /// unless the edges are whole seconds, the first before the second.
    pub fn new(market: Ticker, tier: Tier, from: Timestamp, until: Timestamp) -> Option<SliceKey> {
        let window = Window::new(Some(from), until).filter(|_| from < until)?;
        Some(SliceKey { window, market, tier })
    }

    /// The same of another window.
    pub fn with_window(&self, from: Timestamp, until: Timestamp) -> Option<SliceKey> {
        SliceKey::new(self.market.clone(), self.tier, from, until)
    }

    /// The first instant.
    pub fn from(&self) -> Timestamp {
        self.window.from().unwrap_or(self.window.until())
    }

    /// The first instant after it.
    pub fn until(&self) -> Timestamp {
        self.window.until()
    }

    /// Whose it is.
    pub fn market(&self) -> &Ticker {
        &self.market
    }

    /// Where it is read.
    pub fn tier(&self) -> Tier {
        self.tier
    }
}

/// How far a slice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SliceStatus {
    /// Some of it is still to be read.
    Open,
    /// All of it is stored, as the live tier showed it; the cutoff may have passed over it meanwhile.
    Read,
    /// Nothing of it is missing.
    Complete,
}

impl SliceStatus {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            SliceStatus::Open => "open",
            SliceStatus::Read => "read",
            SliceStatus::Complete => "complete",
        }
    }

    /// Reads what is stored.
    pub fn parse(word: &str) -> Option<SliceStatus> {
        [SliceStatus::Open, SliceStatus::Read, SliceStatus::Complete]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

/// One row of `ingestion_windows`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// What it is.
    pub key: SliceKey,
    /// How far it is.
    pub status: SliceStatus,
    /// Where the exchange said to go on; `None` when only time can tell.
    pub cursor: Option<String>,
    /// The oldest trade time of the pages stored so far.
    pub low: Option<Timestamp>,
    /// Counts the changes of this row: compare and set.
    pub version: i64,
}

impl Slice {
    /// One of which nothing is read.
    pub fn new(key: SliceKey) -> Slice {
        Slice { key, status: SliceStatus::Open, cursor: None, low: None, version: 0 }
    }

    /// The state after some rows were stored, one version on.
    pub(super) fn after(&self, progress: SliceProgress) -> Slice {
        let SliceProgress { key, status, cursor, low } = progress;
        Slice { key, status, cursor, low, version: self.version + 1 }
    }
}

/// The name in the ledger of the tape read for some markets only: `*` and a fingerprint of which.
pub fn group_name(markets: &[Ticker]) -> Option<Ticker> {
    let hash = fingerprint(markets.iter().flat_map(|market| market.as_str().bytes().chain([0])));
    Ticker::new(&format!("*{hash:016x}-{}", markets.len()))
}

/// What storing some rows proves of a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SliceProgress {
    pub(super) key: SliceKey,
    pub(super) status: SliceStatus,
    pub(super) cursor: Option<String>,
    pub(super) low: Option<Timestamp>,
}

/// The walk of one slice.
#[derive(Clone, Debug)]
pub struct SliceWalk {
    walk: Walk,
    key: SliceKey,
    /// Whose rows are kept; `None`: everybody's.
    keep: Option<Arc<HashSet<Ticker>>>,
}

impl SliceWalk {
    /// Takes up what the ledger left of the slice. `keep` is for the tape read for some markets.
    pub fn new(slice: &Slice, keep: Option<Arc<HashSet<Ticker>>>, rules: Rules) -> SliceWalk {
        let key = slice.key.clone();
        let market = if keep.is_some() { Ticker::tape() } else { key.market.clone() };
        let open = OpenWalk {
            window: key.window,
            cursor: slice.cursor.clone(),
            low: slice.low,
            opened_at: None,
        };
        let walk = Walk::of_window(market, key.tier, &open, rules);
        SliceWalk { walk, key, keep }
    }

    /// What to ask next, or how it ended.
    pub fn next(&self) -> Step {
        self.walk.next()
    }

    /// The walk itself, for its cursor.
    pub fn walk_mut(&mut self) -> &mut Walk {
        &mut self.walk
    }

    /// Takes the answer to the request in hand; says what to store and what that proves.
    pub fn page(&mut self, page: Page) -> Walked {
        let mut walked = self.walk.page(page);
        if let Some(keep) = &self.keep {
            walked.rows.retain(|row| keep.contains(&row.event.trade.market));
            walked.rejected.retain(|row| row.market.is_tape() || keep.contains(&row.market));
        }
        let progress = walked.progress.pop().map(|(_, progress)| progress);
        walked.slice = progress.map(|progress| match progress {
            Progress::Continues(open) => self.at(SliceStatus::Open, open.cursor, open.low),
            Progress::Completed { .. } => match self.key.tier {
                Tier::Live => self.at(SliceStatus::Read, None, None),
                // What is in the archive stays there.
                Tier::Archive => self.at(SliceStatus::Complete, None, None),
            },
        });
        walked
    }

    fn at(
        &self,
        status: SliceStatus,
        cursor: Option<String>,
        low: Option<Timestamp>,
    ) -> SliceProgress {
        SliceProgress { key: self.key.clone(), status, cursor, low }
    }
}
