//! From what was typed to what will be done: every mistake of the user is found here, before
//! the first connection.

mod database;
mod selection;

use std::time::Duration;

use crate::cli::{
    BackfillArgs, Cli, Command, CompletenessArgs, Global, LogFormat, Output, PruneArgs, ReplayArgs,
    RunArgs, StatusArgs,
};
use crate::domain::page::Rules;
use crate::domain::selection::Selection;
use crate::domain::time::{FIRST_TRADES, Timestamp};
use crate::failure::Failure;
use crate::kalshi::{Access, Endpoint, Signer};
use crate::store::DatabaseUrl;

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

/// What to do, with all that it takes and nothing else.
#[derive(Debug)]
pub enum Task {
    /// One pass.
    Run(Box<RunPlan>),
    /// The freshness of the markets.
    Status {
        /// Only these, each with its SLA; all when empty.
        selection: Selection,
        /// How stale a market may be that was not selected by itself.
        sla: Duration,
        /// What the answer looks like.
        output: Output,
        /// Whether staleness decides the exit status.
        check: bool,
    },
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
    Prune {
        /// How old they may get.
        raw_older_than: Duration,
    },
    /// The schema alone.
    Migrate,
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
    pub is_healed: bool,
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
    pub is_compared: bool,
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
    pub is_forced: bool,
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
    pub is_dry: bool,
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
                let selection = selection::selection(&global, sla, environment)?;
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
            Command::Migrate => Task::Migrate,
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
    let RunArgs { sla, since, overlap, settle, deadline, workers, sync_markets } = *args;
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
        rules: Rules { overlap, settle, since, pages_max: PAGES_PER_WALK_MAX, slice: None },
        selection,
        deadline,
        workers,
        sync_every: sync_markets,
    })
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
mod tests {
    use super::*;
    use clap::Parser as _;

    fn resolve(args: &[&str], variables: &[(&str, &str)]) -> Result<Config, String> {
        let args = [&["kalshi-ingest"], args].concat();
        let cli = Cli::try_parse_from(args).map_err(|error| error.to_string())?;
        let environment = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Config::new(cli, Timestamp::from_seconds(1_800_000_000), &environment)
            .map_err(|failure| crate::failure::one_line(&failure))
    }

    #[test]
    fn mistakes_are_named_before_anything_is_opened() {
        for (args, part, why) in [
            (&["run"][..], "nothing is selected", "nothing to do"),
            (&["markets"], "nothing is selected", "nothing to do"),
            (&["run", "--series", "A B"], "--series", "a blank in it"),
            (&["run", "--all", "--shard", "4/4"], "--shard", "outside its range"),
            (&["run", "--watchlist", "/no/such/file"], "/no/such/file", "no file"),
            (&["run", "--market", "A B"], "is not a ticker", "a blank in it"),
            (&["run", "--market", "*"], "is not a ticker", "the tape's own name"),
            (&["migrate", "--database-url", "sqlite::memory:"], "names no file", "kept nowhere"),
            (&["run", "--market", "A", "--api-key-id", "x"], "go together", "half a key"),
            (
                &["run", "--market", "A", "--api-key-id", "a b", "--private-key-file", "/x"],
                "visible",
                "a blank in the id",
            ),
            (&["run", "--market", "A", "--workers", "0"], "--workers", "nobody to work"),
            (
                &["run", "--market", "A", "--requests-per-second", "NaN"],
                "--requests-per-second",
                "not a rate",
            ),
            (&["run", "--market", "A", "--sla", "3s"], "--settle", "can never be met"),
            (&["run", "--market", "A", "--since", "2100-01-01"], "future", "nothing there yet"),
            (&["run", "--market", "A", "--base-url", "nowhere"], "base URL", "no URL"),
            (
                &["run", "--market", "A", "--database-url", "mysql://x"],
                "sqlite:",
                "another database",
            ),
            (&["run", "--market", "A", "--sla", "soon"], "write it like", "clap's own words"),
        ] {
            let error = resolve(args, &[]).unwrap_err();
            assert!(error.contains(part), "{why}: {error}");
        }
    }

    #[test]
    fn a_market_selected_twice_is_one_market() {
        let config = resolve(&["run", "--market", "B,A", "--market", "A, B,"], &[]).unwrap();
        let Task::Run(plan) = config.task else { panic!("not a run") };
        let names: Vec<String> =
            plan.selection.watches().iter().map(|watch| watch.target.name()).collect();
        assert_eq!(names, ["market:A", "market:B"]);
    }

    #[test]
    fn the_flag_beats_the_environment_and_that_beats_the_default() {
        let place = |args: &[&str], variables: &[(&str, &str)]| {
            resolve(args, variables).map(|config| config.database.to_string())
        };
        assert_eq!(place(&["migrate"], &[]).unwrap(), "SQLite file kalshi.db");
        let variables = [("DATABASE_URL", "sqlite:env.db")];
        assert_eq!(place(&["migrate"], &variables).unwrap(), "SQLite file env.db");
        let flag = ["migrate", "--database-url", "sqlite:flag.db"];
        assert_eq!(place(&flag, &variables).unwrap(), "SQLite file flag.db");
        let both = [("DATABASE_URL", "sqlite:a"), ("DATABASE_URL_FILE", "b")];
        assert!(place(&["migrate"], &both).unwrap_err().contains("unset one"));
        let empty = [("DATABASE_URL", "")];
        assert!(place(&["migrate"], &empty).unwrap_err().contains("set but empty"));
        let missing = [("DATABASE_URL_FILE", "/no/such/file")];
        assert!(place(&["migrate"], &missing).unwrap_err().contains("/no/such/file"));
    }
}
