//! From the command line to a plan. Every mistake of the user is found here, before the first connection.

mod database;
mod export;
mod plan;
mod selection;
mod terms;

pub use plan::{
    BackfillPlan, CandlesPlan, CompletenessPlan, ExchangePlan, ExportPlan, Notify, Place,
    PrunePlan, ReplayPlan, RunPlan, ServePlan, StatusPlan, Task, Want,
};
pub use terms::{Needs, OnSignal, Patience, Terms};

use std::time::Duration;

use crate::cli::{
    BackfillArgs, CandleInterval, CandlesArgs, CompletenessArgs, DatabaseArgs, ExchangeArgs,
    LogArgs, LogFormat, MarketsArgs, MigrateArgs, OrderbooksArgs, PruneArgs, ReplayArgs, RunArgs,
    SelectionArgs, ServeArgs, StatusArgs, TradesArgs, Work,
};
use crate::domain::account_limits::{RATES, RequestRate};
use crate::domain::candle::Interval;
use crate::domain::page::Rules;
use crate::domain::selection::Selection;
use crate::domain::time::Timestamp;
use crate::failure::Failure;
use crate::kalshi::{Access, Endpoint, Signer, VENUE};
use crate::proxy;
use crate::store::{DatabaseUrl, TRADES_TABLE};
use crate::webhook::Webhook;

/// The default SLA of `run`. Questions use it where no pass has recorded another one.
pub const SLA_DEFAULT: Duration = Duration::from_secs(300);
const WORKERS_MAX: usize = 64;
/// Requests in a second without a key. This rate ran without refusals in a trial.
const RATE_KEYLESS: f64 = 4.0;
/// Requests in a second with a key whose account is not known: the rate of the lowest tier.
const RATE_KEYED: f64 = 20.0;
/// The path of the trades in the public API.
const TRADES_PATH_DEFAULT: &str = "/markets/trades";
/// A guard, not a budget: a hundred million trades of one market in one pass.
const PAGES_PER_WALK_MAX: u32 = 100_000;

/// One invocation with all its settings.
#[derive(Debug)]
pub struct Config {
    /// The database.
    pub database: DatabaseUrl,
    /// The task of the command.
    pub task: Task,
}

/// The settings of the log, known before anything can fail.
#[derive(Clone, Copy, Debug)]
pub struct LogPlan {
    /// Text or JSON.
    pub format: LogFormat,
    /// The number of `-v` flags.
    pub verbose: u8,
    /// Whether `-q` was given.
    pub quiet: bool,
}

impl LogPlan {
    /// The settings from the flags about the log.
    pub fn new(args: &LogArgs) -> LogPlan {
        LogPlan { format: args.log_format, verbose: args.verbose, quiet: args.quiet }
    }
}

impl Config {
    /// Makes the configuration from the command line. `environment` returns the variables that are not those of flags.
    pub fn new(
        work: Work,
        now: Timestamp,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, Failure> {
        // The patterns name every field: a flag that is never read does not compile.
        let (database, task) = match work {
            Work::Run(args) => run(args, now, environment)?,
            Work::Status(args) => status(args, environment)?,
            Work::Markets(MarketsArgs { selection, exchange: asked, database, log: _ }) => {
                let selection = selected(&selection, environment)?;
                let exchange = exchange(asked, None, 1, environment)?;
                (database, Task::Markets { selection, exchange })
            }
            Work::Orderbooks(OrderbooksArgs { selection, exchange: asked, database, log: _ }) => {
                let selection = selected(&selection, environment)?;
                let exchange = exchange(asked, None, 1, environment)?;
                (database, Task::Orderbooks { selection, exchange })
            }
            Work::Candles(args) => candles(args, now, environment)?,
            Work::Backfill(args) => backfill(args, now, environment)?,
            Work::Completeness(args) => completeness(args, now, environment)?,
            Work::Export(args) => export::export(args, now, environment)?,
            Work::Replay(args) => replay(args)?,
            Work::Prune(args) => prune(args)?,
            Work::Serve(ServeArgs { listen, sla, selection, database, log: _ }) => {
                let selection = selection::selection(&selection, sla, environment)?;
                (database, Task::Serve(ServePlan { listen, selection }))
            }
            Work::Migrate(MigrateArgs { recount, database, log: _ }) => {
                (database, Task::Migrate { recount })
            }
        };
        let DatabaseArgs { database_url } = database;
        Ok(Config { database: database::database(database_url, environment)?, task })
    }
}

fn candles(
    args: CandlesArgs,
    now: Timestamp,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(DatabaseArgs, Task), Failure> {
    let CandlesArgs { interval, since, selection, exchange: asked, database, log: _ } = args;
    if since.is_some_and(|since| since > now) {
        return Err(since_in_the_future());
    }
    let interval = match interval {
        CandleInterval::Minute => Interval::Minute,
        CandleInterval::Hour => Interval::Hour,
    };
    let selection = selected(&selection, environment)?;
    let exchange = exchange(asked, None, 1, environment)?;
    let plan = CandlesPlan { selection, interval, since, exchange };
    Ok((database, Task::Candles(Box::new(plan))))
}

fn since_in_the_future() -> Failure {
    Failure::config("--since lies in the future")
}

fn status(
    args: StatusArgs,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(DatabaseArgs, Task), Failure> {
    let StatusArgs { sla, output, check, selection, database, log: _ } = args;
    let selection = selection::selection(&selection, sla.unwrap_or(SLA_DEFAULT), environment)?;
    Ok((database, Task::Status(StatusPlan { selection, sla, output, check })))
}

fn prune(args: PruneArgs) -> Result<(DatabaseArgs, Task), Failure> {
    let PruneArgs { raw_older_than, dry_run, database, log: _ } = args;
    if raw_older_than < PRUNE_MIN {
        return Err(Failure::config(
            "--raw-older-than is less than an hour; passes at work still need those events",
        ));
    }
    Ok((database, Task::Prune(PrunePlan { raw_older_than, dry_run })))
}

fn replay(args: ReplayArgs) -> Result<(DatabaseArgs, Task), Failure> {
    let ReplayArgs { from, to, into, compare, database, log: _ } = args;
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        return Err(Failure::config("--to is not after --from; the window is empty"));
    }
    if into.as_deref() == Some(TRADES_TABLE) {
        return Err(Failure::config(
            "--into names the usual table; leave it out to rebuild that one",
        ));
    }
    let plan = ReplayPlan { from, until: to, into, compare };
    Ok((database, Task::Replay(plan)))
}

/// The selection of a command that does not judge staleness.
fn selected(
    typed: &SelectionArgs,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Selection, Failure> {
    selection::required(selection::selection(typed, Duration::MAX, environment)?)
}

fn run(
    args: RunArgs,
    now: Timestamp,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(DatabaseArgs, Task), Failure> {
    let RunArgs {
        sla,
        since,
        overlap,
        settle,
        deadline,
        workers,
        metrics_file,
        push_gateway,
        ping_url,
        sync_markets,
        selection,
        exchange: asked,
        trades,
        database,
        log: _,
    } = args;
    let selection = selection::required(selection::selection(&selection, sla, environment)?)?;
    if !(1..=WORKERS_MAX).contains(&workers) {
        return Err(Failure::config("--workers is not between 1 and 64"));
    }
    if sla.is_zero() || deadline.is_zero() {
        return Err(Failure::config("--sla and --deadline must be longer than nothing"));
    }
    if selection.watches().iter().any(|watch| settle >= watch.sla) {
        return Err(Failure::config(
            "--settle is not shorter than --sla or an sla of the watchlist: every market would breach",
        ));
    }
    if since.is_some_and(|since| since > now) {
        return Err(since_in_the_future());
    }
    let plan = RunPlan {
        exchange: exchange(asked, Some(trades), workers, environment)?,
        rules: Rules { overlap, settle, since, pages_max: PAGES_PER_WALK_MAX, ..Rules::EXACT },
        selection,
        deadline,
        workers,
        sync_every: sync_markets,
        notify: Notify {
            metrics_file: metrics_file.filter(|path| !path.as_os_str().is_empty()),
            push_gateway: webhook("--push-gateway", push_gateway.as_deref(), environment)?,
            ping: webhook("--ping-url", ping_url.as_deref(), environment)?,
        },
    };
    Ok((database, Task::Run(Box::new(plan))))
}

/// An empty variable counts as unset.
fn webhook(
    flag: &str,
    url: Option<&str>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Webhook>, Failure> {
    let url = url.map(str::trim).filter(|url| !url.is_empty());
    url.map(|url| Webhook::parse(flag, url, environment)).transpose()
}

/// The least age at which raw events may be pruned.
const PRUNE_MIN: Duration = Duration::from_secs(3_600);

fn completeness(
    args: CompletenessArgs,
    now: Timestamp,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(DatabaseArgs, Task), Failure> {
    let CompletenessArgs {
        from,
        to,
        min_score,
        heal,
        output,
        selection,
        exchange: asked,
        trades,
        database,
        log: _,
    } = args;
    let window = from.zip(to).map(|(from, to)| window(from, to, now)).transpose()?;
    if window.is_some_and(|(from, until)| !has_full_hour(from, until)) {
        return Err(Failure::config(
            "--from and --to hold no full hour; the exchange's figures are by the hour",
        ));
    }
    if min_score.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
        return Err(Failure::config("--min-score is not between 0 and 1"));
    }
    let selection = selected(&selection, environment)?;
    let exchange = exchange(asked, Some(trades), 1, environment)?;
    let plan = CompletenessPlan { selection, window, exchange, min_score, heal, output };
    Ok((database, Task::Completeness(Box::new(plan))))
}

/// The share of the rate that a backfill uses; the passes beside it get the rest.
const RATE_SHARE: f64 = 0.75;

/// A window of the past: whole seconds, in order, not before the exchange's first trades.
fn window(
    from: Timestamp,
    until: Timestamp,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), Failure> {
    if from >= until {
        return Err(Failure::config("--to is not after --from; the window is empty"));
    }
    if from < VENUE.first_trades {
        return Err(Failure::config("--from lies before 2021, when there was nothing to trade"));
    }
    if until > now {
        return Err(Failure::config("--to lies in the future; nothing is there yet"));
    }
    Ok((from.floor(), until.ceil()))
}

/// Whether a full hour of the clock lies in the window.
fn has_full_hour(from: Timestamp, until: Timestamp) -> bool {
    let hour = Duration::from_secs(3_600);
    until.floor_to(hour) > from && until.floor_to(hour).before(hour) >= from
}

fn backfill(
    args: BackfillArgs,
    now: Timestamp,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(DatabaseArgs, Task), Failure> {
    let BackfillArgs {
        from,
        to,
        deadline,
        workers,
        dry_run,
        force,
        selection,
        exchange: asked,
        trades,
        database,
        log: _,
    } = args;
    let (from, until) = window(from, to, now)?;
    let selection = selected(&selection, environment)?;
    if !(1..=WORKERS_MAX).contains(&workers) {
        return Err(Failure::config("--workers is not between 1 and 64"));
    }
    if deadline.is_some_and(|deadline| deadline.is_zero()) {
        return Err(Failure::config("--deadline must be longer than nothing"));
    }
    let mut exchange = exchange(asked, Some(trades), workers, environment)?;
    exchange.rate = exchange.rate.shared(RATE_SHARE);
    let want = Want { selection, from, until, force };
    let plan = BackfillPlan { want, exchange, deadline, workers, dry_run };
    Ok((database, Task::Backfill(Box::new(plan))))
}

/// The plan for asking the exchange over `connections` connections at once. `trades_path` is the path of the trades,
/// for a command that reads some.
fn exchange(
    args: ExchangeArgs,
    trades: Option<TradesArgs>,
    connections: usize,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<ExchangePlan, Failure> {
    let ExchangeArgs { base_url, api_key_id, private_key_file, requests_per_second } = args;
    let trades_path = trades.map_or(TRADES_PATH_DEFAULT.to_owned(), |trades| trades.trades_path);
    // An empty variable counts as unset; a mounted secret may end with a line break.
    let key_id = api_key_id.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
    let key_file = private_key_file.filter(|path| !path.as_os_str().is_empty());
    let signer = match (key_id, key_file) {
        (Some(id), Some(path)) => Some(Signer::from_pem_file(&id, &path)?),
        (None, None) => None,
        _ => {
            return Err(Failure::config(
                "--api-key-id and --private-key-file go together; give both",
            ));
        }
    };
    if requests_per_second.is_some_and(|rate| !RATES.contains(&rate)) {
        return Err(Failure::config("--requests-per-second is not between 0.01 and 1200"));
    }
    let rate = match (requests_per_second, &signer) {
        (Some(rate), _) => RequestRate::Fixed(rate),
        (None, None) => RequestRate::Fixed(RATE_KEYLESS),
        (None, Some(_)) => RequestRate::OfAccount { assumed: RATE_KEYED, share: 1.0 },
    };
    let endpoint = Endpoint::new(&base_url, &trades_path)?;
    let proxy = proxy::proxy_for(endpoint.uri(), environment)?;
    if let Some(proxy) = &proxy {
        log::debug!("asking the exchange through {proxy}");
    }
    Ok(ExchangePlan { access: Access { endpoint, signer, connections, proxy }, rate })
}

#[cfg(test)]
mod tests;
