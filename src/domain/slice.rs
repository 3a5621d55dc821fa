//! A slice of a backfill: a bounded window of one market (or the tape) in one tier, and its place in
//! the ledger of backfills.

use super::checkpoint::Window;
use super::tier::Tier;
use super::time::Timestamp;
use super::trade::{Ticker, fingerprint};

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

    /// Its window.
    pub(super) fn window(&self) -> Window {
        self.window
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_it_was_stored() {
        let all = [SliceStatus::Open, SliceStatus::Read, SliceStatus::Complete];
        assert_eq!(all.map(SliceStatus::as_str), ["open", "read", "complete"]);
        assert_eq!(all.map(|status| SliceStatus::parse(status.as_str())), all.map(Some));
        assert_eq!(SliceStatus::parse("closed"), None);
    }

    /// A ledger holds it: a run of another build has to find the slices of the same markets again.
    #[test]
    fn the_name_of_a_group_never_changes() {
        let name = |tickers: &[&str]| {
            let markets: Vec<Ticker> =
                tickers.iter().filter_map(|text| Ticker::new(text)).collect();
            group_name(&markets).unwrap().to_string()
        };
        assert_eq!(name(&["KXA", "KXB"]), "*46e708897c4f7d6e-2");
        assert_ne!(name(&["KXA", "KXB"]), name(&["KXAK", "XB"]), "where one ends counts");
    }
}
