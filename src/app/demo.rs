//! `demo`: the whole program in a few seconds, without an account, a server or a network: a simulated exchange on
//! loopback, three real passes into a SQLite file, and the status they leave.

use std::fs::{self, DirBuilder};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kalshi_simulator::{Exchange, Fault, Rules, seeded_trades};

use super::outside::Outside;
use crate::exit::Exit;
use crate::failure::Failure;

const MARKETS: [(&str, usize); 3] =
    [("KXBTCD-26NOV22-T99000", 4_200), ("KXHIGHNY-26NOV22-B50", 1_700), ("KXNEWPOPE-35", 40)];
const SECOND_US: i64 = 1_000_000;

/// Between two passes, so that time goes on.
const NAP: Duration = Duration::from_millis(300);

/// Plays it, each pass as a process of its own: nothing that is set for other passes reaches them.
pub(super) fn demo(is_kept: bool, outside: &Outside) -> anyhow::Result<Exit> {
    let folder = Folder::make()?;
    let file = folder.0.join("demo.db");
    let program = std::env::current_exe()
        .map_err(|error| Failure::config("finding this program to run it").because(error))?;
    let mut run = |arguments: &[&str]| Ok(run(&program, arguments)?);
    let mut say = |words: &str| super::answer(words, outside);
    let code = play(&file, &mut run, &mut say)?;
    if is_kept {
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

/// The exit status of this program, called like this in an environment that says nothing to it.
fn run(program: &Path, arguments: &[&str]) -> Result<u8, Failure> {
    let is_ours = |name: &str| name.starts_with("DATABASE_URL") || name.starts_with("KALSHI_");
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_ours) {
            command.env_remove(name);
        }
    }
    let status = command.args(arguments).status();
    let status = status
        .map_err(|error| Failure::config("running this program for the demo").because(error))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(Exit::Bug.code()))
}

/// A folder of our own, gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn make() -> Result<Folder, Failure> {
        let path = std::env::temp_dir().join(format!("kalshi-ingest-demo-{}", std::process::id()));
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).map_err(|error| {
            Failure::config(format!("making the folder {} for the demo", path.display()))
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

/// Plays three passes into the database `file` and shows the status. `run` calls the program with these words and
/// answers with its exit status; `say` shows words to whoever watches. Answers with the status of the first call
/// that failed, or 0.
pub fn play(
    file: &Path,
    run: &mut dyn FnMut(&[&str]) -> anyhow::Result<u8>,
    say: &mut dyn FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<u8> {
    let exchange = Exchange::new(Rules::default());
    let server = exchange.serve().map_err(|error| {
        Failure::config("listening on 127.0.0.1 for the simulated exchange").because(error)
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

/// Something that happens at the exchange.
type Happening = fn(&Exchange);

/// The passes, and what happens before each.
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
