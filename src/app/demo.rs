//! `demo`: the whole program in a few seconds, without an account, a server or a network. It runs a simulated exchange
//! on loopback and three real passes into a SQLite file, and shows the resulting status.

use std::fs::{self, DirBuilder};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kalshi_simulator::{Exchange, Fault, Rules, seeded_trades};

use super::outside::Outside;
use crate::cli::{DemoArgs, LogArgs, LogFormat};
use crate::clock::StopFlag;
use crate::domain::time::Timestamp;
use crate::exit::Exit;
use crate::failure::Failure;

const MARKETS: [(&str, usize); 3] =
    [("KXBTCD-26NOV22-T99000", 4_200), ("KXHIGHNY-26NOV22-B50", 1_700), ("KXNEWPOPE-35", 40)];
const SECOND_US: i64 = 1_000_000;

/// The error when the program's own file cannot be run: each pass is a process of it.
const NOT_RUN: &str = "the demo could not run this program again; call it by its full path";

/// The pause between two passes, so that time goes on.
const NAP: Duration = Duration::from_millis(300);

/// Plays the demo. Each pass is a process of its own, and the settings for other passes do not reach it.
pub(super) fn demo(
    DemoArgs { keep, log }: &DemoArgs,
    outside: &Outside,
    stop: &StopFlag,
) -> anyhow::Result<Exit> {
    let folder = Folder::make(outside.clock.now())?;
    let file = folder.0.join("demo.db");
    let program =
        std::env::current_exe().map_err(|error| Failure::config(NOT_RUN).because(error))?;
    let log = spelt(log);
    let mut run = |arguments: &[&str]| {
        let code = run(&program, arguments, &log)?;
        // After a signal no further pass is shown.
        Ok(stop.signal().map_or(code, |signal| Exit::of_signal(signal).code()))
    };
    let mut say = |words: &str| super::answer(words, outside);
    let code = play(&file, &mut run, &mut say)?;
    if *keep {
        say(&format!("\nThe data is in {}.\n", file.display()))?;
        std::mem::forget(folder);
    } else {
        say("\nThe data is gone now; `kalshi-ingest demo --keep` keeps it.\n")?;
    }
    say(
        "With real markets: kalshi-ingest run --series KXHIGHNY --database-url sqlite:kalshi.db\n",
    )?;
    Ok(Exit::ALL.into_iter().find(|exit| exit.code() == code).unwrap_or(Exit::Bug))
}

/// The log flags as the user typed them, for the passes.
fn spelt(LogArgs { verbose, quiet, log_format }: &LogArgs) -> Vec<&'static str> {
    let format = match log_format {
        LogFormat::Text => "--log-format=text",
        LogFormat::Json => "--log-format=json",
    };
    let quiet = quiet.then_some("--quiet");
    let verbose = (0..*verbose).map(|_| "--verbose");
    [format].into_iter().chain(quiet).chain(verbose).collect()
}

/// Runs this program with these arguments in an environment without settings for it. Returns the exit status.
fn run(program: &Path, arguments: &[&str], log: &[&str]) -> Result<u8, Failure> {
    let is_ours = |name: &str| name.starts_with("DATABASE_URL") || name.starts_with("KALSHI_");
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_ours) {
            command.env_remove(name);
        }
    }
    let status = command.args(arguments).args(log).status();
    let status = status.map_err(|error| Failure::config(NOT_RUN).because(error))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(Exit::Bug.code()))
}

/// A folder of this demo, deleted with the value.
struct Folder(PathBuf);

impl Folder {
    fn make(now: Timestamp) -> Result<Folder, Failure> {
        // The system reuses process numbers, so the name also holds the time: a folder that a killed demo left behind
        // is not taken over.
        let name = format!("kalshi-ingest-demo-{}-{}", std::process::id(), now.micros());
        let path = std::env::temp_dir().join(name);
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).map_err(|error| {
            let path = path.display();
            Failure::config(format!("making the folder {path} failed; set TMPDIR to another place"))
                .because(error)
        })?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            log::warn!("{} is left behind: {error}", self.0.display());
        }
    }
}

/// Plays three passes into the database `file` and shows the status. `run` calls the program with these arguments and
/// returns its exit status; `say` shows a text to the user. Returns the status of the first call that failed, or 0.
pub fn play(
    file: &Path,
    run: &mut dyn FnMut(&[&str]) -> anyhow::Result<u8>,
    say: &mut dyn FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<u8> {
    let exchange = Exchange::new(Rules::default());
    let server = exchange.serve().map_err(|error| {
        let message = "the simulated exchange cannot listen on 127.0.0.1; allow it and try again";
        Failure::config(message).because(error)
    })?;
    let (base_url, database) = (server.base_url(), format!("sqlite:{}", file.display()));
    say(&format!("A simulated exchange answers at {base_url}.\n"))?;
    let markets = MARKETS.map(|(market, _)| market).join(",");
    let target = ["--database-url", &database, "--base-url", &base_url];
    let pass =
        [&["run", "--market", &markets, "--requests-per-second", "50"], &target[..]].concat();
    for (words, happen) in PASSES {
        happen(&exchange);
        say(&format!("\n{words}\n"))?;
        let code = run(&pass)?;
        if code != 0 {
            say(&format!("The pass ended with status {code}.\n"))?;
            return Ok(code);
        }
        std::thread::sleep(NAP);
    }
    say(&format!("\n$ kalshi-ingest status --database-url {database}\n\n"))?;
    run(&["status", "--database-url", &database])
}

/// An event at the simulated exchange.
type Happening = fn(&Exchange);

/// The text before each pass, and the event before it.
const PASSES: [(&str, Happening); 3] = [
    ("First pass: the whole history, through a 503 and a cut connection.", history),
    ("Second pass: nothing new, so nothing is stored twice.", |_| {}),
    ("Third pass: 26 trades appeared behind the checkpoint, one of them a minute late.", news),
];

fn history(exchange: &Exchange) {
    let now = exchange.now_us();
    for (market, count) in MARKETS {
        let hours_us = 3 * 3_600 * SECOND_US;
        exchange.add_all(seeded_trades(1, market, count, now - hours_us, now - 6 * SECOND_US));
    }
    exchange.script([Fault::None, Fault::Status(503), Fault::Truncated]);
}

fn news(exchange: &Exchange) {
    let now = exchange.now_us();
    let [(busy, _), (late, _), _] = MARKETS;
    exchange.add_all(seeded_trades(2, busy, 25, now - 20 * SECOND_US, now - 6 * SECOND_US));
    exchange.add_all(seeded_trades(3, late, 1, now - 60 * SECOND_US, now - 59 * SECOND_US));
}
