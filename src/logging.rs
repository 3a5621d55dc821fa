//! The log on stderr: one line for each event, as text for people or as JSON for programs.

use std::io::{self, Write};
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{SecondsFormat, Utc};
use env_logger::{Builder, Target};
use log::{Level, Log, Metadata, Record};

use crate::cli::LogFormat;
use crate::config::LogPlan;
use crate::progress;

/// The number of this process's run, a part of every line; zero until it is known.
static RUN_ID: AtomicI64 = AtomicI64::new(0);

/// Puts this run's number on every line from now on.
pub fn set_run_id(run: i64) {
    RUN_ID.store(run, Ordering::Relaxed);
}

/// The lowest level at which messages of libraries are logged, whatever the user asks for: below it they print whole
/// URLs and headers, and with them keys, signatures and the secret paths of others. See
/// docs/upstream.md#ureq-secrets-in-the-trace
const LEVEL_OF_LIBRARIES: Level = Level::Warn;

/// A logger that drops most messages of libraries.
struct Guarded(env_logger::Logger);

impl Log for Guarded {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_ours = metadata.target().split("::").next() == Some(env!("CARGO_CRATE_NAME"));
        (is_ours || metadata.level() <= LEVEL_OF_LIBRARIES) && self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.log(record);
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// Starts the log. Flags beat `RUST_LOG`, which beats the default of `info`.
pub fn start(plan: LogPlan) {
    let mut builder = Builder::new();
    match (plan.quiet, plan.verbose) {
        (true, _) => builder.parse_filters("kalshi_ingest=error"),
        (false, 0) => {
            let filter = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
            builder.parse_filters(filter.as_deref().unwrap_or("kalshi_ingest=info"))
        }
        (false, 1) => builder.parse_filters("kalshi_ingest=debug"),
        (false, _) => builder.parse_filters("kalshi_ingest=trace"),
    };
    builder
        .format(move |out, record| match plan.format {
            LogFormat::Text => text(out, record),
            LogFormat::Json => json(out, record),
        })
        .target(Target::Pipe(Box::new(progress::AboveTheBar)));
    let logger = builder.build();
    let level = logger.filter();
    // A second start, when several invocations share a process, changes nothing.
    if log::set_boxed_logger(Box::new(Guarded(logger))).is_ok() {
        log::set_max_level(level);
    }
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn text(out: &mut impl Write, record: &Record<'_>) -> io::Result<()> {
    let run = RUN_ID.load(Ordering::Relaxed);
    let run = if run == 0 { String::new() } else { format!(" [run {run}]") };
    writeln!(out, "{} {:<5}{run} {}", now(), record.level(), record.args())
}

fn json(out: &mut impl Write, record: &Record<'_>) -> io::Result<()> {
    let run = RUN_ID.load(Ordering::Relaxed);
    let line = serde_json::json!({
        "time": now(),
        "level": record.level().as_str().to_lowercase(),
        "run_id": (run != 0).then_some(run),
        "message": record.args().to_string(),
    });
    writeln!(out, "{line}")
}
