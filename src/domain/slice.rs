//! A slice of a backfill: a bounded window of one market (or the tape) in one tier, and its place in
//! the ledger of backfills.

use super::checkpoint::Window;
use super::scope::Scope;
use super::tier::Tier;
use super::time::Timestamp;

/// The key of a slice. Keys sort by time, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SliceKey {
    window: Window,
    scope: Scope,
    tier: Tier,
}

impl SliceKey {
    /// A key; `None` unless the edges are whole seconds and the first is before the second.
    pub fn new(
        scope: impl Into<Scope>,
        tier: Tier,
        from: Timestamp,
        until: Timestamp,
    ) -> Option<SliceKey> {
        let window = Window::new(Some(from), until).filter(|_| from < until)?;
        Some(SliceKey { window, scope: scope.into(), tier })
    }

    /// The window of the slice.
    pub(super) fn window(&self) -> Window {
        self.window
    }

    /// The same key with another window.
    pub fn with_window(&self, from: Timestamp, until: Timestamp) -> Option<SliceKey> {
        SliceKey::new(self.scope.clone(), self.tier, from, until)
    }

    /// The first instant of the window.
    pub fn from(&self) -> Timestamp {
        self.window.from().unwrap_or(self.window.until())
    }

    /// The first instant after the window.
    pub fn until(&self) -> Timestamp {
        self.window.until()
    }

    /// The market, the tape or the group that is read.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The tier that is asked.
    pub fn tier(&self) -> Tier {
        self.tier
    }
}

/// The progress of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SliceStatus {
    /// Some of its trades are still to be read.
    Open,
    /// All trades that the live tier showed are stored. The cutoff may have passed over the slice meanwhile.
    Read,
    /// No trade is missing.
    Complete,
}

impl SliceStatus {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            SliceStatus::Open => "open",
            SliceStatus::Read => "read",
            SliceStatus::Complete => "complete",
        }
    }

    /// Reads the word in the database.
    pub fn parse(word: &str) -> Option<SliceStatus> {
        [SliceStatus::Open, SliceStatus::Read, SliceStatus::Complete]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

/// One row of `ingestion_windows`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The key of the slice.
    pub key: SliceKey,
    /// The progress of the slice.
    pub status: SliceStatus,
    /// The cursor of the next page; `None` if the walk can only go on by time.
    pub cursor: Option<String>,
    /// The oldest trade time of the pages stored so far.
    pub low: Option<Timestamp>,
    /// The number of changes of this row, for the compare-and-set.
    pub version: i64,
}

impl Slice {
    /// A slice of which nothing is read.
    pub fn new(key: SliceKey) -> Slice {
        Slice { key, status: SliceStatus::Open, cursor: None, low: None, version: 0 }
    }

    /// The state after some rows were stored, with the next version.
    pub(super) fn after(&self, progress: SliceProgress) -> Slice {
        let SliceProgress { key, status, cursor, low } = progress;
        Slice { key, status, cursor, low, version: self.version + 1 }
    }
}

/// The progress of a slice that is proven once some rows are stored.
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
