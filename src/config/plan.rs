//! What will be done, with all that it takes.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{Output, StatusOutput};
use crate::domain::page::Rules;
use crate::domain::selection::Selection;
use crate::domain::time::Timestamp;
use crate::kalshi::Access;
use crate::webhook::Webhook;

/// What to do, with all that it takes and nothing else.
#[derive(Debug)]
pub enum Task {
    /// One pass.
    Run(Box<RunPlan>),
    /// The freshness of the markets.
    Status(StatusPlan),
    /// Metadata of the selected markets.
    Markets {
        /// What is selected.
        selection: Selection,
        /// The exchange.
        exchange: ExchangePlan,
    },
    /// Order books of the selected markets.
    Orderbooks {
        /// What is selected.
        selection: Selection,
        /// The exchange.
        exchange: ExchangePlan,
    },
    /// A window of the past.
    Backfill(Box<BackfillPlan>),
    /// Scores.
    Completeness(Box<CompletenessPlan>),
    /// Trades from raw events.
    Replay(ReplayPlan),
    /// Fewer raw events.
    Prune(PrunePlan),
    /// Answers over HTTP.
    Serve(ServePlan),
    /// The schema alone.
    Migrate,
}

/// A question for the freshness of markets, resolved.
#[derive(Debug)]
pub struct StatusPlan {
    /// Only these, each with its SLA; all when empty.
    pub selection: Selection,
    /// How stale a market may be that was not selected by itself; `None`: as on record.
    pub sla: Option<Duration>,
    /// What the answer looks like.
    pub output: StatusOutput,
    /// Whether staleness decides the exit status.
    pub check: bool,
}

/// A pruning, resolved.
#[derive(Debug)]
pub struct PrunePlan {
    /// How old raw events may get.
    pub raw_older_than: Duration,
    /// Whether it is only to be said what would be done.
    pub dry_run: bool,
}

/// A server, resolved.
#[derive(Clone, Debug)]
pub struct ServePlan {
    /// Where to listen.
    pub listen: String,
    /// Only these; when empty, what the last passes were asked for.
    pub selection: Selection,
}

/// A scoring, resolved.
#[derive(Debug)]
pub struct CompletenessPlan {
    /// What is selected.
    pub selection: Selection,
    /// The window; `None` for each market's whole life.
    pub window: Option<(Timestamp, Timestamp)>,
    /// The exchange.
    pub exchange: ExchangePlan,
    /// A market below it makes the exit status 6.
    pub min_score: Option<f64>,
    /// Whether what falls short is read again.
    pub heal: bool,
    /// What the answer looks like.
    pub output: Output,
}

/// A replay, resolved.
#[derive(Debug)]
pub struct ReplayPlan {
    /// Only events received from then on.
    pub from: Option<Timestamp>,
    /// Only events received before.
    pub until: Option<Timestamp>,
    /// A second table.
    pub into: Option<String>,
    /// Whether it is compared with the usual one.
    pub compare: bool,
}

/// Which part of the past is wanted.
#[derive(Debug)]
pub struct Want {
    /// What is selected.
    pub selection: Selection,
    /// The first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
    /// Whether finished slices are read again.
    pub force: bool,
}

/// A backfill, resolved.
#[derive(Debug)]
pub struct BackfillPlan {
    /// What is to be filled.
    pub want: Want,
    /// The exchange.
    pub exchange: ExchangePlan,
    /// How long it may take; `None`: as long as it does.
    pub deadline: Option<Duration>,
    /// How many slices are read at once.
    pub workers: usize,
    /// Whether it is only to be said what would be done.
    pub dry_run: bool,
}

/// How the exchange is asked.
#[derive(Debug)]
pub struct ExchangePlan {
    /// Where, and with which key.
    pub access: Access,
    /// Requests per second at most.
    pub rate: f64,
}

/// One pass, resolved.
#[derive(Debug)]
pub struct RunPlan {
    /// What is selected, each entry with its SLA.
    pub selection: Selection,
    /// The exchange.
    pub exchange: ExchangePlan,
    /// How walks are done.
    pub rules: Rules,
    /// How long the pass may take.
    pub deadline: Duration,
    /// How many walks are done at once.
    pub workers: usize,
    /// How old the last sync of metadata may be; `None`: no pass does one.
    pub sync_every: Option<Duration>,
    /// Who is told of it.
    pub notify: Notify,
}

/// Who is told of a pass.
#[derive(Clone, Debug, Default)]
pub struct Notify {
    /// The file that holds the metrics.
    pub metrics_file: Option<PathBuf>,
    /// The push gateway.
    pub push_gateway: Option<Webhook>,
    /// The dead-man switch.
    pub ping: Option<Webhook>,
}
