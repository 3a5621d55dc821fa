//! Other programs, and the time and memory that they take.

use std::io;
use std::process::{Command, Stdio};
use std::time::Instant;

use tempfile::NamedTempFile;

/// GNU time: the standard library does not tell what a child took.
const GNU_TIME: &str = "/usr/bin/time";

/// The consumption of one run of a program.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) seconds: f64,
    /// User and system, to a hundredth of a second.
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_mb: f64,
}

/// Fails where a program is missing that the measurements need.
pub(crate) fn check_tools() {
    let package = [("psql", "postgresql-client"), ("sqlite3", "sqlite3"), (GNU_TIME, "time")];
    for (tool, package) in package {
        let started = Command::new(tool)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let is_there = !matches!(started, Err(error) if error.kind() == io::ErrorKind::NotFound);
        assert!(is_there, "{tool} is not installed: run `apt-get install {package}` or the like");
    }
}

/// The program under measurement.
pub(crate) fn ours(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kalshi-ingest"));
    command.env_remove("RUST_LOG").arg(arguments[0]).arg("-q").args(&arguments[1..]);
    command
}

/// Runs the program to its end, which must be a success; the seconds.
pub(crate) fn seconds(command: &mut Command) -> f64 {
    let started = Instant::now();
    let status = command.stdout(Stdio::null()).status().unwrap();
    let seconds = started.elapsed().as_secs_f64();
    // The names of markets may fill pages.
    let shown: String = format!("{command:?}").chars().take(300).collect();
    assert!(status.success(), "{status}: {shown}");
    seconds
}

/// The same with processor time and memory.
pub(crate) fn usage(command: &Command) -> Usage {
    let report = NamedTempFile::new().unwrap();
    let mut timed = Command::new(GNU_TIME);
    timed.args(["-f", "%U %S %M", "-o"]).arg(report.path());
    timed.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => timed.env(name, value),
            None => timed.env_remove(name),
        };
    }
    let seconds = seconds(&mut timed);
    let text = std::fs::read_to_string(report.path()).unwrap();
    let figures: Vec<f64> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let [user, system, peak_kb] = figures[..] else { panic!("{GNU_TIME} wrote {text:?}") };
    Usage { seconds, cpu_seconds: user + system, peak_mb: peak_kb / 1_024.0 }
}
