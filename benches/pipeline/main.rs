//! The whole program against the databases' own bulk loaders, side by side in one run.
//!
//! `cargo bench --bench pipeline -- [--trades N] [--pairs N] [--only NAME,…]` prints a table of figures with the goal
//! of each. Read the ratios: machines are noisy. Every run asserts that the trades in the database are those of the
//! exchange; nothing fails by time.

#![allow(clippy::print_stdout, reason = "a benchmark talks to whoever runs it")]
#![allow(clippy::print_stderr, reason = "a benchmark talks to whoever runs it")]
#![allow(clippy::unwrap_used, reason = "a panic is how a benchmark fails")]

#[path = "../../tests/it/support/postgres.rs"]
mod postgres_server;
mod backfills;
mod child;
mod loaders;
mod machine;
mod on_postgres;
mod on_sqlite;
mod passes;
mod replays;
mod statuses;
mod table;
mod world;

use std::path::Path;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use tempfile::TempDir;

use table::Table;
use world::World;

/// Measures the program beside the databases' own bulk loaders.
#[derive(Parser)]
struct Args {
    /// How many trades the exchange has.
    #[arg(long, default_value_t = 200_000)]
    trades: usize,
    /// How many rounds are measured.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pairs: u16,
    /// Only these, in their usual order.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Subject>,
    /// `cargo bench` adds it.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Something that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// `run` into PostgreSQL beside COPY.
    Postgres,
    /// `backfill` into PostgreSQL beside COPY.
    Backfill,
    /// `run` into SQLite beside `.import`.
    Sqlite,
    /// `replay` of all trades, on both databases.
    Replay,
    /// `status` of many markets, on both databases.
    Status,
    /// A pass with nothing new, on SQLite.
    Idle,
    /// The requests of a pass over level markets.
    Level,
}

/// The values that every measurement needs.
pub(crate) struct Setting<'a> {
    pub(crate) world: World,
    /// For files; it is gone at the end.
    pub(crate) directory: &'a Path,
    pub(crate) pairs: usize,
}

fn main() {
    let Args { trades, pairs, only, bench: _ } = Args::parse();
    let directory = TempDir::new().unwrap();
    child::check_tools();
    let started = Instant::now();
    let setting = Setting {
        world: World::of_two_markets(trades),
        directory: directory.path(),
        pairs: pairs.into(),
    };
    println!("{}\n", machine::describe(trades, pairs));
    let mut table = Table::begin();
    for subject in Subject::value_variants() {
        if !only.is_empty() && !only.contains(subject) {
            continue;
        }
        match subject {
            Subject::Postgres => on_postgres::measure(&setting, &mut table),
            Subject::Backfill => backfills::measure(&setting, &mut table),
            Subject::Sqlite => on_sqlite::measure(&setting, &mut table),
            Subject::Replay => replays::measure(&setting, &mut table),
            Subject::Status => statuses::measure(&setting, &mut table),
            Subject::Idle => passes::measure_idle(&setting, &mut table),
            Subject::Level => passes::measure_level(&mut table),
        }
    }
    println!("\nIt took {:.0} s. {}", started.elapsed().as_secs_f64(), table.summary());
}
