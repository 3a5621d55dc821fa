//! The counts of a pass, as a value. The names are those of the metrics.

use std::time::Duration;

use super::batch::{Commit, Receipt};

/// The reason of a repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryReason {
    /// The exchange said that requests came too often.
    RateLimited,
    /// The exchange reported an error of its own.
    ServerError,
    /// The exchange did not answer.
    NoAnswer,
    /// The answer of the exchange could not be decoded.
    Unreadable,
    /// The database broke off, or chose the transaction of another client over ours.
    Database,
}

impl RetryReason {
    /// All reasons, in the order of [`Retries`].
    pub const ALL: [RetryReason; 5] = [
        RetryReason::RateLimited,
        RetryReason::ServerError,
        RetryReason::NoAnswer,
        RetryReason::Unreadable,
        RetryReason::Database,
    ];

    /// The name in the metrics and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            RetryReason::RateLimited => "rate_limited",
            RetryReason::ServerError => "server_error",
            RetryReason::NoAnswer => "no_answer",
            RetryReason::Unreadable => "unreadable",
            RetryReason::Database => "database",
        }
    }
}

/// The number of repetitions, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retries([u64; RetryReason::ALL.len()]);

impl Retries {
    /// Counts one repetition.
    pub fn add(&mut self, reason: RetryReason) {
        if let Some(at) = RetryReason::ALL.iter().position(|known| *known == reason) {
            self.0[at] += 1;
        }
    }

    /// Adds the counts of another part.
    pub fn merge(&mut self, other: &Retries) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }

    /// The sum of all reasons.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Each reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (RetryReason, u64)> {
        RetryReason::ALL.into_iter().zip(self.0)
    }
}

/// Counts of one pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests sent to the exchange, including repetitions.
    pub requests: u64,
    /// Requests sent again, and database transactions begun again.
    pub retries: Retries,
    /// Pages whose rows were taken into a batch.
    pub pages: u64,
    /// New trades stored.
    pub events_ingested: u64,
    /// Trades read that were stored already.
    pub events_duplicate: u64,
    /// Events kept in the raw table because they could not be normalized.
    pub events_rejected: u64,
    /// Events kept in the raw table because another version of their trade is stored.
    pub events_conflicting: u64,
    /// The number of transactions.
    pub commits: u64,
    /// New trades found in a window that had been complete.
    pub late_trades: u64,
    /// The longest time between a late trade and the answer that first held it.
    pub lateness_max: Duration,
    /// The part of the overlap that was needed to find the latest of them.
    pub overlap_used: Duration,
    /// Trades seen on the tape, of all markets, in [`tape_span`](Tally::tape_span).
    pub tape_trades: u64,
    /// The span of exchange time that was read from the tape to the end.
    pub tape_span: Duration,
}

impl Tally {
    /// Adds the counts of another part of the same pass.
    pub fn merge(&mut self, other: &Tally) {
        let Tally {
            requests,
            retries,
            pages,
            events_ingested,
            events_duplicate,
            events_rejected,
            events_conflicting,
            commits,
            late_trades,
            lateness_max,
            overlap_used,
            tape_trades,
            tape_span,
        } = other;
        self.requests += requests;
        self.retries.merge(retries);
        self.pages += pages;
        self.events_ingested += events_ingested;
        self.events_duplicate += events_duplicate;
        self.events_rejected += events_rejected;
        self.events_conflicting += events_conflicting;
        self.commits += commits;
        self.late_trades += late_trades;
        self.lateness_max = self.lateness_max.max(*lateness_max);
        self.overlap_used = self.overlap_used.max(*overlap_used);
        self.tape_trades += tape_trades;
        self.tape_span += *tape_span;
    }

    /// Adds the counts of one transaction.
    pub fn add(&mut self, commit: &Commit, receipt: &Receipt) {
        let [ingested, duplicate, rejected, conflicting] = commit.counts(receipt);
        self.commits += 1;
        self.tape_trades += commit.tape().trades;
        self.tape_span += commit.tape().span;
        self.events_ingested += ingested;
        self.events_duplicate += duplicate;
        self.events_rejected += rejected;
        self.events_conflicting += conflicting;
        let late = receipt.inserted.iter().filter_map(|at| commit.rows().get(*at));
        for (row, late_by) in late.filter_map(|row| Some((row, row.late_by?))) {
            self.late_trades += 1;
            let lateness = row.seen_at.since(row.event.trade.traded_at);
            self.lateness_max = self.lateness_max.max(lateness);
            self.overlap_used = self.overlap_used.max(late_by);
        }
    }
}
