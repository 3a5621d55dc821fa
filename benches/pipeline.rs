//! The pipeline against the databases' own bulk loaders, side by side in one run:
//!
//! * a first pass, HTTP to both tables with keys, index, raw events and checkpoints, against
//!   `psql \copy` and `sqlite3 .import` of the same finished rows into the same two tables;
//! * a pass over the same trades when all of them are stored already.
//!
//! `cargo bench --bench pipeline [-- TRADES [PAIRS]]`. Read the ratios: machines are noisy.

#![allow(clippy::print_stdout, reason = "a benchmark talks to whoever runs it")]
#![allow(clippy::unwrap_used, reason = "a panic is how a benchmark fails")]

#[path = "../tests/it/support/postgres.rs"]
mod postgres_server;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use kalshi_simulator::{Exchange, Rules, Server, seeded_trades};
use tempfile::TempDir;

const MARKETS: [&str; 2] = ["KXA", "KXB"];

fn main() {
    // `cargo bench` adds `--bench`.
    let numbers: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let trades = numbers.first().copied().unwrap_or(200_000);
    let pairs = numbers.get(1).copied().unwrap_or(5);
    let exchange = Exchange::new(Rules::default());
    let now = exchange.now_us();
    for market in MARKETS {
        let until = now - 10_000_000;
        let span = 86_400_000_000;
        exchange.add_all(seeded_trades(1, market, trades / 2, until - span, until));
    }
    let server = exchange.serve().unwrap();
    let directory = TempDir::new().unwrap();
    println!("{trades} trades, {pairs} pairs, seconds; ratio = loader's time / ours");
    println!("{:<12} {:>8} {:>8} {:>8} {:>8}", "", "ours", "loader", "ratio", "again");
    bench("sqlite", pairs, |round| sqlite_round(&server, directory.path(), round));
    bench("postgres", pairs, |_| postgres_round(&server, directory.path()));
}

/// Medians over `pairs` rounds of (first pass, loader, pass again).
fn bench(name: &str, pairs: usize, mut round: impl FnMut(usize) -> [f64; 3]) {
    let rounds: Vec<[f64; 3]> = (0..pairs).map(&mut round).collect();
    let median = |pick: &dyn Fn(&[f64; 3]) -> f64| {
        let mut figures: Vec<f64> = rounds.iter().map(pick).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    println!(
        "{name:<12} {:>8.2} {:>8.2} {:>8.2} {:>8.2}",
        median(&|round| round[0]),
        median(&|round| round[1]),
        median(&|round| round[1] / round[0]),
        median(&|round| round[2]),
    );
}

fn seconds(command: &mut Command) -> f64 {
    let started = Instant::now();
    let status = command.stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
    started.elapsed().as_secs_f64()
}

fn pass(server: &Server, database: &str) -> f64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kalshi-ingest"));
    command.args(["run", "-q", "--market", &MARKETS.join(","), "--base-url", &server.base_url()]);
    command.args(["--database-url", database, "--requests-per-second", "1200"]);
    // From the beginning each time: a pass over stored trades is a pass over duplicates.
    seconds(command.args(["--deadline", "10m", "--overlap", "3650d"]))
}

fn migrate(database: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kalshi-ingest"));
    seconds(command.args(["migrate", "-q", "--database-url", database]));
}

const TRADES: &str = "prediction_market_trades";
const EVENTS: &str = "raw_kalshi_trade_events";

fn sqlite_round(server: &Server, directory: &Path, round: usize) -> [f64; 3] {
    let path = |name: &str| directory.join(format!("{name}-{round}")).display().to_string();
    let (ours, theirs) = (path("ours"), path("theirs"));
    let first = pass(server, &format!("sqlite:{ours}"));
    let again = pass(server, &format!("sqlite:{ours}"));
    let (trades, events) = (path("trades"), path("events"));
    let columns = "source, trade_id, market_ticker, side, price_e4, quantity_e2, traded_at, \
                   is_block_trade, run_id, ingested_at";
    let export = format!(
        ".mode csv\n.output {trades}\nselect {columns} from {TRADES};\n.output {events}\n\
         select event_id, run_id, received_at, market_ticker, trade_id, payload from {EVENTS};\n"
    );
    sqlite3(&ours, &export);
    migrate(&format!("sqlite:{theirs}"));
    // `.import` fills every column there is, so the loader is spared those that are computed and
    // the one that would have to be null.
    let spare = format!(
        "drop view {TRADES}_yes;\nalter table {TRADES} drop column price;\n\
         alter table {TRADES} drop column quantity;\ndrop index {EVENTS}_rejected;\n\
         drop index {EVENTS}_conflicts;\n\
         alter table {EVENTS} drop column rejected;\n"
    );
    sqlite3(&theirs, &spare);
    let import = format!(
        "pragma synchronous=normal;\n.mode csv\n.import {trades} {TRADES}\n.import {events} {EVENTS}\n"
    );
    let imported = sqlite3(&theirs, &import);
    for name in [&ours, &theirs, &trades, &events] {
        std::fs::remove_file(name).unwrap();
    }
    [first, imported, again]
}

fn sqlite3(database: &str, script: &str) -> f64 {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), script).unwrap();
    let script = std::fs::File::open(file.path()).unwrap();
    seconds(Command::new("sqlite3").arg("-bail").arg(database).stdin(script))
}

fn postgres_round(server: &Server, directory: &Path) -> [f64; 3] {
    let (ours, theirs) = (create_database(), create_database());
    let first = pass(server, &ours);
    let again = pass(server, &ours);
    let (trades, events) = (directory.join("trades.csv"), directory.join("events.csv"));
    let columns = "run_id, received_at, market_ticker, trade_id, payload";
    let (trades, events) = (trades.display(), events.display());
    psql(
        &ours,
        &[
            format!("\\copy {TRADES} to '{trades}' csv"),
            format!("\\copy {EVENTS} ({columns}) to '{events}' csv"),
        ],
    );
    migrate(&theirs);
    let copied = psql(
        &theirs,
        &[
            format!("\\copy {TRADES} from '{trades}' csv"),
            format!("\\copy {EVENTS} ({columns}) from '{events}' csv"),
        ],
    );
    [first, copied, again]
}

fn create_database() -> String {
    postgres_server::server().create_database()
}

fn psql(database: &str, commands: &[String]) -> f64 {
    let mut psql = Command::new("psql");
    psql.args(["-q", "-v", "ON_ERROR_STOP=1", database]);
    for command in commands {
        psql.args(["-c", command]);
    }
    seconds(&mut psql)
}
