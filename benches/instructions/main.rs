//! Counts the instructions of single parts and compares them with `benches/instructions.toml`.
//!
//! `benches/count-instructions` runs this program once for each part under valgrind, whose counts are the same on a busy
//! and on an idle machine. It fails if a part takes more than its limits allow. After a change that is meant to cost
//! instructions, `benches/count-instructions --renew` records the new counts; a limit is changed by hand.

#![allow(clippy::print_stdout, reason = "a benchmark talks to whoever runs it")]
#![allow(clippy::print_stderr, reason = "a benchmark talks to whoever runs it")]
#![allow(clippy::unwrap_used, reason = "a panic is how a benchmark fails")]

#[path = "../inputs/mod.rs"]
mod inputs;
mod record;

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use kalshi_ingest::domain::plan::plan;
use kalshi_ingest::kalshi::{self, VENUE};
use kalshi_ingest::store;

use record::{Allowance, Record, allowance, judge};

/// A part: its name, the number of units that it counts, and the function that measures it.
type Part = (&'static str, usize, fn());

const PLAN_MARKETS: usize = 10_000;
/// Each market has one page.
const BATCH_MARKETS: usize = 5;
const BATCH_TRADES: usize = BATCH_MARKETS * inputs::PAGE_TRADES;

const PARTS: [Part; 6] = [
    ("decode", inputs::PAGE_TRADES, decode),
    ("normalize", inputs::PAGE_TRADES, normalize),
    ("plan", PLAN_MARKETS, planning),
    ("seal", BATCH_TRADES, seal),
    ("commit", BATCH_TRADES, commit),
    ("commit-again", BATCH_TRADES, commit_again),
];

/// Counts the instructions of the program's parts.
#[derive(Parser)]
struct Args {
    /// Record the counts of this run.
    #[arg(long)]
    renew: bool,
    /// Do the work of this part once, and nothing else.
    #[arg(long, hide = true)]
    part: Option<String>,
    /// `cargo bench` adds it.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match &args.part {
        Some(name) => {
            let (_, _, work) = PARTS.iter().find(|(known, ..)| known == name).unwrap();
            work();
            ExitCode::SUCCESS
        }
        None => compare(args.renew),
    }
}

/// Counts all parts, and compares or records the counts.
fn compare(is_renewal: bool) -> ExitCode {
    if !env!("CARGO_BIN_EXE_kalshi-ingest").contains("/instructions/") {
        eprintln!("other profiles have other counts: run `benches/count-instructions`");
        return ExitCode::FAILURE;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let recorded = Record::read(&text);
    let compiler = compiler();
    let allowed = allowance(&recorded.compiler, &compiler);
    if let Allowance::Other = allowed {
        println!("recorded with {}, this is {compiler}: more is allowed", recorded.compiler);
    }
    println!("{:<14} {:>10} {:>10} {:>8} {:>10}", "part", "recorded", "now", "change", "limit");
    let mut counts = Vec::new();
    let mut faults = Vec::new();
    for (name, units, _) in PARTS {
        let count = count(name) / u64::try_from(units).unwrap();
        let entry = &recorded.parts[name];
        let change = record::percent(entry.recorded, count);
        println!(
            "{name:<14} {:>10} {count:>10} {change:>+7.1}% {:>10}",
            entry.recorded, entry.limit
        );
        let allowed = if is_renewal { Allowance::Any } else { allowed };
        faults.extend(judge(name, *entry, count, allowed).err());
        counts.push((name, count));
    }
    for fault in &faults {
        eprintln!("{fault}");
    }
    if !faults.is_empty() {
        return ExitCode::FAILURE;
    }
    if is_renewal {
        std::fs::write(&file, record::renewed(&text, &compiler, &counts)).unwrap();
    }
    ExitCode::SUCCESS
}

/// The instructions of one part, counted by valgrind in another process.
fn count(part: &str) -> u64 {
    let output = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("callgrind.{part}"));
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--tool=callgrind", "--toggle-collect=*counted_part*"]);
    command.arg(format!("--callgrind-out-file={}", output.display()));
    command.arg(std::env::current_exe().unwrap()).args(["--part", part]);
    let status = command.status().unwrap_or_else(|error| {
        panic!("valgrind does not start ({error}): install it (Debian: apt-get install valgrind)")
    });
    assert!(status.success(), "{part} under valgrind: {status}");
    let profile = std::fs::read_to_string(&output).unwrap();
    let total = profile.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap();
    let count = total.trim().parse().unwrap();
    assert!(
        count > 0,
        "{part}: valgrind counted nothing; is the name of the function still there?"
    );
    count
}

/// The compiler and the architecture: counts of different ones differ.
fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output().unwrap();
    let version = String::from_utf8(output.stdout).unwrap();
    format!("{} on {}", version.trim(), std::env::consts::ARCH)
}

/// Valgrind counts from the beginning to the end of this function, which it finds by its name.
#[inline(never)]
fn counted_part(work: &mut dyn FnMut()) {
    work();
}

fn decode() {
    let market = inputs::market(0);
    let body = inputs::body(&market);
    counted_part(&mut || {
        black_box(kalshi::decode_page(&body, &market, inputs::now()).unwrap());
    });
}

fn normalize() {
    let market = inputs::market(0);
    let payloads = inputs::payloads(&market);
    counted_part(&mut || {
        for payload in &payloads {
            black_box(kalshi::normalize(payload, &market, inputs::now()).unwrap());
        }
    });
}

fn planning() {
    let mut checkpoints = Some(inputs::level(PLAN_MARKETS));
    counted_part(&mut || {
        black_box(plan(checkpoints.take().unwrap(), inputs::outlook()));
    });
}

fn seal() {
    let checkpoints = inputs::unread(&inputs::markets(BATCH_MARKETS));
    let (batch, committed) = inputs::batch(&checkpoints);
    let mut batch = Some(batch);
    counted_part(&mut || {
        black_box(batch.take().unwrap().seal(&committed, 1, inputs::now()));
    });
}

fn commit() {
    store_batch(1);
}

/// Every trade is stored already.
fn commit_again() {
    store_batch(2);
}

/// Commits the same trades as often as said, and counts the last time.
fn store_batch(times: usize) {
    let mut store = store::in_memory(VENUE.source).unwrap();
    store.migrate(inputs::now()).unwrap();
    let run = store.begin_run("run", inputs::now()).unwrap();
    for time in 1..=times {
        let checkpoints =
            store.checkpoints(&inputs::markets(BATCH_MARKETS), inputs::now()).unwrap();
        let (batch, committed) = inputs::batch(&checkpoints);
        let commit = batch.seal(&committed, run, inputs::now());
        let mut receipt = None;
        let mut work = || receipt = Some(store.commit(run, &commit).unwrap());
        if time == times {
            counted_part(&mut work)
        } else {
            work()
        }
        let inserted = receipt.unwrap().inserted.len();
        assert_eq!(inserted, if time == 1 { BATCH_TRADES } else { 0 }, "commit {time}");
    }
}
