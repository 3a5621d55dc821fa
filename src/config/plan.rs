//! The plan of each command, with all its settings.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{Output, StatusOutput};
use crate::domain::account_limits::RequestRate;
use crate::domain::candle::Interval;
use crate::domain::export::{Format, Partition, Table};
use crate::domain::page::Rules;
use crate::domain::selection::Selection;
use crate::domain::time::Timestamp;
use crate::kalshi::Access;
use crate::webhook::Webhook;

/// The task, with exactly the settings that it needs.
#[derive(Debug)]
pub enum Task {
    /// One pass.
    Run(Box<RunPlan>),
    /// Show the freshness of the markets.
    Status(StatusPlan),
    /// Sync the metadata of the selected markets.
    Markets {
        /// The selected markets.
        selection: Selection,
        /// The way to ask the exchange.
        exchange: ExchangePlan,
    },
    /// Take snapshots of the order books of the selected markets.
    Orderbooks {
        /// The selected markets.
        selection: Selection,
        /// The way to ask the exchange.
        exchange: ExchangePlan,
    },
    /// Store the exchange's own candles of the selected markets.
    Candles(Box<CandlesPlan>),
    /// Complete a window of the past.
    Backfill(Box<BackfillPlan>),
    /// Score the completeness of markets.
    Completeness(Box<CompletenessPlan>),
    /// Write rows as files.
    Export(ExportPlan),
    /// Rebuild trades from raw events.
    Replay(ReplayPlan),
    /// Delete old raw events.
    Prune(PrunePlan),
    /// Answer questions over HTTP.
    Serve(ServePlan),
    /// Migrate the schema alone.
    Migrate {
        /// Whether the stored trades are counted anew.
        recount: bool,
    },
}

/// The plan of `candles`.
#[derive(Debug)]
pub struct CandlesPlan {
    /// The selected markets.
    pub selection: Selection,
    /// The length of a candle.
    pub interval: Interval,
    /// Where a market without a stored candle begins; `None` for its opening.
    pub since: Option<Timestamp>,
    /// The way to ask the exchange.
    pub exchange: ExchangePlan,
}

/// The plan of `status`.
#[derive(Debug)]
pub struct StatusPlan {
    /// Only these entries, each with its SLA; all when empty.
    pub selection: Selection,
    /// The SLA of a market that was not selected itself; `None` for the SLA on record.
    pub sla: Option<Duration>,
    /// The format of the answer.
    pub output: StatusOutput,
    /// Whether staleness decides the exit status.
    pub check: bool,
}

/// The plan of `prune`.
#[derive(Debug)]
pub struct PrunePlan {
    /// The age above which raw events are deleted.
    pub raw_older_than: Duration,
    /// Whether to show the effect without deleting.
    pub dry_run: bool,
}

/// The plan of `serve`.
#[derive(Clone, Debug)]
pub struct ServePlan {
    /// The address to listen on.
    pub listen: String,
    /// Only these entries; when empty, the selection of the last passes.
    pub selection: Selection,
}

/// The plan of `completeness`.
#[derive(Debug)]
pub struct CompletenessPlan {
    /// The selected markets.
    pub selection: Selection,
    /// The window; `None` for each market's whole life.
    pub window: Option<(Timestamp, Timestamp)>,
    /// The way to ask the exchange.
    pub exchange: ExchangePlan,
    /// The least score: a market below it makes the exit status 6.
    pub min_score: Option<f64>,
    /// Whether hours that fall short are read again.
    pub heal: bool,
    /// The format of the answer.
    pub output: Output,
}

/// The plan of `export`.
#[derive(Debug)]
pub struct ExportPlan {
    /// The table.
    pub table: Table,
    /// The format.
    pub format: Format,
    /// The rows that share a file.
    pub partition: Partition,
    /// The place of the rows.
    pub place: Place,
    /// The beginning of the window; `None` for the first stored row.
    pub from: Option<Timestamp>,
    /// The end of the window; the instant itself does not belong to it.
    pub until: Timestamp,
    /// The end of the part that has to be complete for exit status 0.
    pub judged_until: Timestamp,
    /// The selected markets.
    pub selection: Selection,
}

/// The place of exported rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// One stream.
    Stdout,
    /// Files and a manifest in this folder.
    Directory(PathBuf),
}

/// The plan of `replay`.
#[derive(Debug)]
pub struct ReplayPlan {
    /// Only events received at this instant or later.
    pub from: Option<Timestamp>,
    /// Only events received before this instant.
    pub until: Option<Timestamp>,
    /// Another table to write to.
    pub into: Option<String>,
    /// Whether the other table is compared with the usual one.
    pub compare: bool,
}

/// The part of the past that a backfill completes.
#[derive(Debug)]
pub struct Want {
    /// The selected markets.
    pub selection: Selection,
    /// The beginning of the window.
    pub from: Timestamp,
    /// The end of the window; the instant itself does not belong to it.
    pub until: Timestamp,
    /// Whether finished slices are read again.
    pub force: bool,
}

/// The plan of `backfill`.
#[derive(Debug)]
pub struct BackfillPlan {
    /// The part of the past to complete.
    pub want: Want,
    /// The way to ask the exchange.
    pub exchange: ExchangePlan,
    /// The time limit; `None` for none.
    pub deadline: Option<Duration>,
    /// The number of slices that are read at once.
    pub workers: usize,
    /// Whether to show the slices without reading them.
    pub dry_run: bool,
}

/// The way to ask the exchange.
#[derive(Debug)]
pub struct ExchangePlan {
    /// The address and the key.
    pub access: Access,
    /// The most requests in a second.
    pub rate: RequestRate,
}

/// The plan of `run`.
#[derive(Debug)]
pub struct RunPlan {
    /// The selection, each entry with its SLA.
    pub selection: Selection,
    /// The way to ask the exchange.
    pub exchange: ExchangePlan,
    /// The rules of the walks.
    pub rules: Rules,
    /// The time limit of the pass.
    pub deadline: Duration,
    /// The number of walks that are done at once.
    pub workers: usize,
    /// The age at which the metadata is synced again; `None`: no pass syncs it.
    pub sync_every: Option<Duration>,
    /// The receivers of the pass's result.
    pub notify: Notify,
}

/// The receivers of a pass's result.
#[derive(Clone, Debug, Default)]
pub struct Notify {
    /// The file for the metrics.
    pub metrics_file: Option<PathBuf>,
    /// The push gateway.
    pub push_gateway: Option<Webhook>,
    /// The dead-man switch.
    pub ping: Option<Webhook>,
}
