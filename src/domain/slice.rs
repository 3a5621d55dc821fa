//! A slice of a backfill: a bounded window of one market (or the tape) in one tier, and its place in
//! the ledger of backfills.

use super::checkpoint::Window;
use super::scope::Scope;
use super::tier::Tier;
use super::time::Timestamp;

/// What identifies a slice. Sorted, the oldest comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SliceKey {
    window: Window,
    scope: Scope,
    tier: Tier,
}

impl SliceKey {
    /// `None` unless the edges are whole seconds, the first before the second.
    pub fn new(
        scope: impl Into<Scope>,
        tier: Tier,
        from: Timestamp,
        until: Timestamp,
    ) -> Option<SliceKey> {
        let window = Window::new(Some(from), until).filter(|_| from < until)?;
        Some(SliceKey { window, scope: scope.into(), tier })
    }

    /// Its window.
    pub(super) fn window(&self) -> Window {
        self.window
    }

    /// The same of another window.
    pub fn with_window(&self, from: Timestamp, until: Timestamp) -> Option<SliceKey> {
        SliceKey::new(self.scope.clone(), self.tier, from, until)
    }

    /// The first instant.
    pub fn from(&self) -> Timestamp {
        self.window.from().unwrap_or(self.window.until())
    }

    /// The first instant after it.
    pub fn until(&self) -> Timestamp {
        self.window.until()
    }

    /// What is read: a market, the tape, or the tape for some markets.
    pub fn scope(&self) -> &Scope {
        &self.scope
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
}
