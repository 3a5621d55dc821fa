//! What a pass did, as a value. The words are those of the metrics.

use std::time::Duration;

use super::batch::{Commit, Receipt};

/// Counts of one pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests sent to the exchange, retries included.
    pub requests: u64,
    /// Requests sent again.
    pub retries: u64,
    /// Pages whose rows were taken into a batch.
    pub pages: u64,
    /// Trades stored that were not stored before.
    pub events_ingested: u64,
    /// Trades read that were stored already.
    pub events_duplicate: u64,
    /// Events kept in the raw table because they could not be normalized.
    pub events_rejected: u64,
    /// Transactions.
    pub commits: u64,
    /// New trades found in a window that had been complete.
    pub late_trades: u64,
    /// The longest time between such a trade and the answer that first held it.
    pub lateness_max: Duration,
    /// Trades seen on the tape, of whatever market, in the span below.
    pub tape_trades: u64,
    /// How much of the exchange's time was read from the tape to the end.
    pub tape_span: Duration,
}

impl Tally {
    /// Adds what another part of the same pass did.
    pub fn merge(&mut self, other: &Tally) {
        let Tally {
            requests,
            retries,
            pages,
            events_ingested,
            events_duplicate,
            events_rejected,
            commits,
            late_trades,
            lateness_max,
            tape_trades,
            tape_span,
        } = other;
        self.requests += requests;
        self.retries += retries;
        self.pages += pages;
        self.events_ingested += events_ingested;
        self.events_duplicate += events_duplicate;
        self.events_rejected += events_rejected;
        self.commits += commits;
        self.late_trades += late_trades;
        self.lateness_max = self.lateness_max.max(*lateness_max);
        self.tape_trades += tape_trades;
        self.tape_span += *tape_span;
    }

    /// Adds what one transaction did.
    pub fn add(&mut self, commit: &Commit, receipt: &Receipt) {
        let inserted = receipt.inserted.len();
        self.commits += 1;
        self.tape_trades += commit.tape().trades;
        self.tape_span += commit.tape().span;
        self.events_ingested += count(inserted);
        self.events_duplicate += count(commit.offered().saturating_sub(inserted));
        self.events_rejected += count(receipt.rejected.len());
        let late = receipt.inserted.iter().filter_map(|at| commit.rows().get(*at));
        for row in late.filter(|row| row.is_late) {
            self.late_trades += 1;
            let lateness = row.seen_at.since(row.event.trade.traded_at);
            self.lateness_max = self.lateness_max.max(lateness);
        }
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
