//! Plays many histories, and tells the story of one that violates an invariant.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum as _};
use simulate::bench::Bench;
use simulate::counts::Counts;
use simulate::draw::draw;
use simulate::history::Profile;
use simulate::play::play;
use simulate::random::mix;
use simulate::server::{Restart, Terms};
use simulate::shrink;

/// Deterministic simulation of whole histories of kalshi-ingest.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    /// How many seeds are played, from --first on
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Play this seed alone and tell its story
    #[arg(long)]
    seed: Option<u64>,
    /// The subject of the histories: calm, clocks, absence, kills, lifecycle, everything, or all of these in turn
    #[arg(long, default_value = "everything", value_parser = profiles)]
    profile: Profiles,
    /// Stop after so many seconds
    #[arg(long)]
    seconds: Option<u64>,
    /// Histories that are played at the same time
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Say what the program logs in stories, down to this level
    #[arg(long, default_value = "info")]
    log: log::LevelFilter,
    /// Leave the story of a failing seed as long as it is
    #[arg(long)]
    whole: bool,
    /// Go on after so many failing seeds
    #[arg(long, default_value_t = 1)]
    failures: usize,
    /// Store on this PostgreSQL server, in databases of its own: any of its databases, as a user who may make others
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// The command that kills that server and starts it again, and ends when it answers; without it the server lives
    #[arg(long, value_name = "COMMAND", requires = "postgres")]
    restart: Option<String>,
    /// Let nothing happen to the server that cannot happen to SQLite: the digests are the same
    #[arg(long, requires = "postgres", conflicts_with = "restart")]
    like_sqlite: bool,
}

/// The profiles of the histories, in turn.
#[derive(Clone, Debug)]
struct Profiles(Vec<Profile>);

fn profiles(text: &str) -> Result<Profiles, String> {
    if text == "all" {
        return Ok(Profiles(Profile::ALL.to_vec()));
    }
    Profile::from_str(text, true).map(|profile| Profiles(vec![profile]))
}

impl Profiles {
    /// The profile and the seed of the history of this number.
    fn of(&self, first: u64, number: u64) -> (Profile, u64) {
        let count = u64::try_from(self.0.len()).unwrap_or(1).max(1);
        let place = usize::try_from(number % count).unwrap_or(0);
        (self.0[place], first.saturating_add(number / count))
    }

    fn count(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(1)
    }
}

impl fmt::Display for Profiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0[..] {
            [one] => f.write_str(&name(*one)),
            _ => f.write_str("all"),
        }
    }
}

/// A profile as the user types it.
fn name(profile: Profile) -> String {
    profile.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
}

/// The bench on which the histories are played.
fn bench(cli: &Cli) -> Result<Bench, String> {
    let Some(url) = cli.postgres.clone() else { return Bench::new() };
    let restart = cli.restart.clone().map(|command| -> Restart {
        Arc::new(move || {
            let done = process::Command::new("sh").args(["-c", &command]).status();
            match done {
                Ok(status) if status.success() => Ok(()),
                Ok(status) => Err(format!("--restart ended with {status}")),
                Err(error) => Err(format!("--restart cannot be run: {error}")),
            }
        })
    });
    Bench::on_server(Terms { url, restart, is_hostile: !cli.like_sqlite })
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.seed {
        Some(seed) => tell(&cli, seed),
        None => many(&cli),
    };
    match done {
        Ok(is_sound) => ExitCode::from(u8::from(!is_sound)),
        Err(wrong) => {
            say(&format!("error: {wrong}\n"));
            ExitCode::from(2)
        }
    }
}

/// Appends to a text, which cannot fail.
fn put(text: &mut String, words: fmt::Arguments<'_>) {
    let _ = text.write_fmt(words);
}

fn say(text: &str) {
    // A failure to write cannot be reported anywhere.
    drop(io::stdout().lock().write_all(text.as_bytes()));
}

/// Tells the story of one seed. Returns whether all invariants held.
fn tell(cli: &Cli, seed: u64) -> Result<bool, String> {
    let mut bench = bench(cli)?;
    let [profile] = cli.profile.0[..] else {
        return Err("--seed tells one story: name its --profile".to_owned());
    };
    let mut history = draw(seed, profile);
    let is_sound = play(&history, &mut bench, false).broken.is_none();
    if !is_sound && !cli.whole {
        history = shrink::shrink(&history, &mut bench);
    }
    simulate::process::listen(cli.log);
    let outcome = play(&history, &mut bench, true);
    let mut text = format!("seed {seed}, profile {}\n", cli.profile);
    for step in &history.steps {
        put(&mut text, format_args!("plan {:>8.1} s: {}\n", seconds(step.at), step.what));
    }
    for line in &outcome.story {
        text.push_str(line);
        text.push('\n');
    }
    match &outcome.broken {
        Some(broken) => put(&mut text, format_args!("BROKEN: {broken}\n")),
        None => text.push_str("nothing broke\n"),
    }
    put(&mut text, format_args!("digest {:016x}\n", outcome.digest));
    say(&text);
    Ok(outcome.broken.is_none())
}

fn seconds(us: i64) -> f64 {
    let whole = Duration::from_micros(us.unsigned_abs()).as_secs_f64();
    if us < 0 { -whole } else { whole }
}

/// The state that all workers share.
struct Shared {
    next: AtomicU64,
    counts: Mutex<Counts>,
    digest: AtomicU64,
    failed: Mutex<Vec<(u64, String)>>,
    figures: Mutex<Vec<[u64; 4]>>,
}

/// Plays many histories. Returns whether all invariants held.
fn many(cli: &Cli) -> Result<bool, String> {
    let started = Instant::now();
    let until = cli.seconds.map(|seconds| started + Duration::from_secs(seconds));
    let shared = Shared {
        next: AtomicU64::new(0),
        counts: Mutex::default(),
        digest: AtomicU64::new(0),
        failed: Mutex::default(),
        figures: Mutex::default(),
    };
    let end = match until {
        Some(_) => u64::MAX,
        None => cli.seeds.saturating_mul(cli.profile.count()),
    };
    thread::scope(|scope| {
        let workers: Vec<_> =
            (0..cli.jobs.max(1)).map(|_| scope.spawn(|| work(cli, &shared, end, until))).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err("a worker panicked".to_owned()))
        })
    })?;
    let took = started.elapsed();
    report(cli, &shared, took);
    let failed = shared.failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(failed.is_empty())
}

fn work(cli: &Cli, shared: &Shared, end: u64, until: Option<Instant>) -> Result<(), String> {
    let mut bench = bench(cli)?;
    loop {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        let (profile, seed) = cli.profile.of(cli.first, number);
        let is_over = until.is_some_and(|until| Instant::now() >= until);
        let failed = shared.failed.lock().unwrap_or_else(PoisonError::into_inner).len();
        if number >= end || is_over || failed >= cli.failures {
            return Ok(());
        }
        let outcome = play(&draw(seed, profile), &mut bench, false);
        // The digest must not depend on the order of the workers.
        shared.digest.fetch_add(mix(outcome.digest ^ mix(seed)), Ordering::Relaxed);
        let of = |name: &str| outcome.counts.of(name);
        let faults = outcome.counts.iter().filter(|(name, _)| is_trouble(name));
        let figures =
            [of("passes"), of("answers"), of("trades stored"), faults.map(|(_, n)| n).sum()];
        shared.figures.lock().unwrap_or_else(PoisonError::into_inner).push(figures);
        shared.counts.lock().unwrap_or_else(PoisonError::into_inner).merge(&outcome.counts);
        if let Some(broken) = outcome.broken {
            say(&format!(
                "{}seed {seed} of {}: {broken}\n",
                again(cli, profile, seed),
                name(profile)
            ));
            shared.failed.lock().unwrap_or_else(PoisonError::into_inner).push((seed, broken));
        }
    }
}

/// The command that tells the story of a history.
fn again(cli: &Cli, profile: Profile, seed: u64) -> String {
    let profile = name(profile);
    let server = if cli.postgres.is_some() { " --postgres URL" } else { "" };
    format!("cargo run --release -p simulate -- --profile {profile} --seed {seed}{server}\n")
}

/// Whether this name counts a trouble.
fn is_trouble(name: &str) -> bool {
    ["fault: ", "answer: ", "database: ", "server: ", "kills", "jumps", "sleeps"]
        .iter()
        .any(|start| name.starts_with(start))
}

fn report(cli: &Cli, shared: &Shared, took: Duration) {
    let counts = shared.counts.lock().unwrap_or_else(PoisonError::into_inner);
    let mut figures = shared.figures.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut text = String::new();
    for (name, count) in counts.iter() {
        put(&mut text, format_args!("{count:>12}  {name}\n"));
    }
    let mut median = |place: usize| {
        figures.sort_unstable_by_key(|of| of[place]);
        figures.get(figures.len() / 2).map_or(0, |of| of[place])
    };
    put(
        &mut text,
        format_args!(
            "at the median: {} passes, {} answers, {} trades, {} troubles\n",
            median(0),
            median(1),
            median(2),
            median(3)
        ),
    );
    let hours = took.as_secs_f64() / 3_600.0;
    let by_hour = |name: &str| {
        let count = u32::try_from(counts.of(name)).unwrap_or(u32::MAX);
        f64::from(count) / hours
    };
    put(
        &mut text,
        format_args!(
            "{:.1} s: {:.0} histories, {:.0} answers, {:.0} commits an hour ({} jobs, profile {})\n",
            took.as_secs_f64(),
            by_hour("histories"),
            by_hour("answers"),
            by_hour("commits"),
            cli.jobs,
            cli.profile
        ),
    );
    put(&mut text, format_args!("digest {:016x}\n", shared.digest.load(Ordering::Relaxed)));
    say(&text);
}
