//! From what was typed to what will be done: every mistake of the user is found here, before
//! the first connection.

mod database;
mod plan;
mod selection;

pub use plan::{
    BackfillPlan, CompletenessPlan, ExchangePlan, ReplayPlan, RunPlan, ServePlan, Task, Telling,
    Want,
};

use std::time::Duration;

use crate::cli::{
    BackfillArgs, Cli, Command, CompletenessArgs, Global, LogFormat, PruneArgs, ReplayArgs,
    RunArgs, ServeArgs, StatusArgs,
};
use crate::domain::page::Rules;
use crate::domain::selection::Selection;
use crate::domain::time::{FIRST_TRADES, Timestamp};
use crate::failure::Failure;
use crate::kalshi::{Access, Endpoint, Signer};
use crate::outlet::Outlet;
use crate::store::{DatabaseUrl, TRADES_TABLE};

/// That of `run`, where no pass says otherwise.
pub const SLA_DEFAULT: Duration = Duration::from_secs(300);
const WORKERS_MAX: usize = 64;
/// What was measured to run clean without a key, and the lowest tier with one.
const RATE_KEYLESS: f64 = 4.0;
const RATE_KEYED: f64 = 20.0;
const RATE_MAX: f64 = 1_200.0;
/// A guard, not a budget: a hundred million trades of one market in one pass.
const PAGES_PER_WALK_MAX: u32 = 100_000;

/// One invocation, resolved.
#[derive(Debug)]
pub struct Config {
    /// The database.
    pub database: DatabaseUrl,
    /// What to do there.
    pub task: Task,
}

/// How the log is written; settled before anything can go wrong.
#[derive(Clone, Copy, Debug)]
pub struct LogPlan {
    /// Text or JSON.
    pub format: LogFormat,
    /// `-v`, counted.
    pub verbose: u8,
    /// `-q`.
    pub quiet: bool,
}

impl LogPlan {
    /// The part of the flags that is about the log.
    pub fn new(global: &Global) -> LogPlan {
        LogPlan { format: global.log_format, verbose: global.verbose, quiet: global.quiet }
    }
}

impl Config {
    /// Resolves what was typed. `environment` answers for the variables that are not flags'.
    pub fn new(
        cli: Cli,
        now: Timestamp,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, Failure> {
        let Cli { mut global, command } = cli;
        let database = database::database(global.database_url.take(), environment)?;
        let task = match command {
            Command::Run(args) => Task::Run(Box::new(run(&args, global, now, environment)?)),
            Command::Status(args) => {
                let StatusArgs { sla, output, check } = args;
                let selection =
                    selection::selection(&global, sla.unwrap_or(SLA_DEFAULT), environment)?;
                Task::Status { selection, sla, output, check }
            }
            Command::Markets => {
                let selection = selected(&global, environment)?;
                Task::Markets { selection, exchange: exchange(global, 1)? }
            }
            Command::Orderbooks => {
                let selection = selected(&global, environment)?;
                Task::Orderbooks { selection, exchange: exchange(global, 1)? }
            }
            Command::Backfill(args) => {
                Task::Backfill(Box::new(backfill(&args, global, now, environment)?))
            }
            Command::Completeness(args) => {
                let plan = completeness(&args, global, now, environment)?;
                Task::Completeness(Box::new(plan))
            }
            Command::Replay(ReplayArgs { from, to, into, compare }) => {
                if from.zip(to).is_some_and(|(from, to)| from >= to) {
                    return Err(Failure::config("--to is not after --from; the window is empty"));
                }
                if into.as_deref() == Some(TRADES_TABLE) {
                    return Err(Failure::config(
                        "--into names the usual table; leave it out to rebuild that one",
                    ));
                }
                Task::Replay(ReplayPlan { from, until: to, into, is_compared: compare })
            }
            Command::Prune(PruneArgs { raw_older_than }) => {
                if raw_older_than < PRUNE_MIN {
                    return Err(Failure::config(
                        "--raw-older-than is less than an hour; passes at work still need those events",
                    ));
                }
                Task::Prune { raw_older_than }
            }
            Command::Serve(ServeArgs { listen, sla }) => {
                let selection = selection::selection(&global, sla, environment)?;
                Task::Serve(ServePlan { listen, selection })
            }
            Command::Migrate => Task::Migrate,
            // They need nothing that is resolved here: see `app`.
            Command::Completions(_) | Command::Man(_) => {
                return Err(Failure::config("a command that prints itself has no configuration"));
            }
        };
        Ok(Config { database, task })
    }
}

/// The selection of a command that knows no staleness.
fn selected(
    global: &Global,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Selection, Failure> {
    selection::required(selection::selection(global, Duration::MAX, environment)?)
}

fn run(
    args: &RunArgs,
    global: Global,
    now: Timestamp,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<RunPlan, Failure> {
    // By pattern: a flag that nobody reads does not compile.
    let RunArgs {
        sla,
        since,
        overlap,
        settle,
        deadline,
        workers,
        ref metrics_file,
        ref push_gateway,
        ref ping_url,
        sync_markets,
    } = *args;
    let selection = selection::required(selection::selection(&global, sla, environment)?)?;
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
        return Err(Failure::config("--since lies in the future"));
    }
    Ok(RunPlan {
        exchange: exchange(global, workers)?,
        rules: Rules { overlap, settle, since, pages_max: PAGES_PER_WALK_MAX, ..Rules::EXACT },
        selection,
        deadline,
        workers,
        sync_every: sync_markets,
        telling: Telling {
            metrics_file: metrics_file.clone().filter(|path| !path.as_os_str().is_empty()),
            push_gateway: outlet("--push-gateway", push_gateway.as_deref())?,
            ping: outlet("--ping-url", ping_url.as_deref())?,
        },
    })
}

/// An empty variable is an unset one.
fn outlet(flag: &str, url: Option<&str>) -> Result<Option<Outlet>, Failure> {
    let url = url.map(str::trim).filter(|url| !url.is_empty());
    url.map(|url| Outlet::parse(flag, url)).transpose()
}

/// Younger raw events are not pruned.
const PRUNE_MIN: Duration = Duration::from_secs(3_600);

fn completeness(
    args: &CompletenessArgs,
    global: Global,
    now: Timestamp,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<CompletenessPlan, Failure> {
    let CompletenessArgs { from, to, min_score, heal, output } = *args;
    let window = from.zip(to).map(|(from, to)| window(from, to, now)).transpose()?;
    if window.is_some_and(|(from, until)| !has_full_hour(from, until)) {
        return Err(Failure::config(
            "--from and --to hold no full hour; the exchange's figures are by the hour",
        ));
    }
    if min_score.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
        return Err(Failure::config("--min-score is not between 0 and 1"));
    }
    let selection = selected(&global, environment)?;
    let exchange = exchange(global, 1)?;
    Ok(CompletenessPlan { selection, window, exchange, min_score, is_healed: heal, output })
}

/// The part of the rate that a backfill leaves to the passes beside it.
const RATE_SHARE: f64 = 0.75;

/// A window of the past: whole seconds, in order, when there was an exchange.
fn window(
    from: Timestamp,
    until: Timestamp,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), Failure> {
    if from >= until {
        return Err(Failure::config("--to is not after --from; the window is empty"));
    }
    if from < FIRST_TRADES {
        return Err(Failure::config("--from lies before 2021, when there was nothing to trade"));
    }
    if until > now {
        return Err(Failure::config("--to lies in the future; nothing is there yet"));
    }
    Ok((from.floor(), until.ceil()))
}

/// Whether an hour by the clock lies in it.
fn has_full_hour(from: Timestamp, until: Timestamp) -> bool {
    let hour = Duration::from_secs(3_600);
    until.floor_to(hour) > from && until.floor_to(hour).before(hour) >= from
}

fn backfill(
    args: &BackfillArgs,
    global: Global,
    now: Timestamp,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<BackfillPlan, Failure> {
    let BackfillArgs { from, to, deadline, workers, dry_run, force } = *args;
    let (from, until) = window(from, to, now)?;
    let selection = selected(&global, environment)?;
    if !(1..=WORKERS_MAX).contains(&workers) {
        return Err(Failure::config("--workers is not between 1 and 64"));
    }
    if deadline.is_some_and(|deadline| deadline.is_zero()) {
        return Err(Failure::config("--deadline must be longer than nothing"));
    }
    let mut exchange = exchange(global, workers)?;
    exchange.rate *= RATE_SHARE;
    let want = Want { selection, from, until, is_forced: force };
    Ok(BackfillPlan { want, exchange, deadline, workers, is_dry: dry_run })
}

/// How the exchange is asked, over so many connections at once.
fn exchange(global: Global, connections: usize) -> Result<ExchangePlan, Failure> {
    // By pattern, as above; what is selected was read before.
    let Global {
        database_url: _,
        base_url,
        trades_path,
        api_key_id,
        private_key_file,
        requests_per_second,
        market: _,
        event: _,
        series: _,
        all: _,
        watchlist: _,
        shard: _,
        verbose: _,
        quiet: _,
        log_format: _,
    } = global;
    // An empty variable is an unset one; a mounted secret may end with a line break.
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
    let rate =
        requests_per_second.unwrap_or(if signer.is_some() { RATE_KEYED } else { RATE_KEYLESS });
    if !(0.01..=RATE_MAX).contains(&rate) {
        return Err(Failure::config("--requests-per-second is not between 0.01 and 1200"));
    }
    let endpoint = Endpoint::new(&base_url, &trades_path)?;
    Ok(ExchangePlan { access: Access { endpoint, signer, connections }, rate })
}

#[cfg(test)]
mod tests;
