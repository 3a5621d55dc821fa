//! Draws a history from a seed: first the world, then the commands, then the troubles.
//!
//! The world keeps the exchange's promise that no trade is shown later than the overlap of a pass allows.

use kalshi_simulator::{ListEnd, MalformedCursor, MaxTs, RateClock, Rules};

use crate::history::{BEGINS_AT, Command, DAY, HOUR, History, MINUTE, Profile, SECOND, Step, What};
use crate::random::{Random, mix};
use crate::{troubles, world};

/// A command with the flags that all commands of its kind have.
pub fn command(name: &str, selection: &[String], flags: &[&str]) -> Command {
    let mut args = vec![name.to_owned()];
    if ["run", "backfill", "completeness", "markets", "orderbooks"].contains(&name) {
        args.extend(["--base-url", "http://exchange.simulated/trade-api/v2"].map(str::to_owned));
    }
    args.extend(selection.iter().cloned());
    args.extend(flags.iter().map(|flag| (*flag).to_owned()));
    Command { args, killed_at: None }
}

/// A history that is being drawn.
pub struct Drawing {
    /// The source of randomness.
    pub random: Random,
    /// The subject of the history.
    pub profile: Profile,
    /// The time at which all trouble has to be over.
    pub ends_at: i64,
    /// The markets that trade to the end.
    pub lasting: Vec<String>,
    /// The selection, as flags.
    pub selection: Vec<String>,
    /// The staleness that passes allow.
    pub sla: i64,
    /// Whether there are markets older than the live tier.
    pub is_old: bool,
    /// The beginning and the end of a pause of trading.
    pub pause: Option<(i64, i64)>,
    steps: Vec<Step>,
}

impl Drawing {
    /// Adds a step.
    pub fn add(&mut self, at: i64, what: What) {
        let id = u64::try_from(self.steps.len()).unwrap_or(0);
        self.steps.push(Step { id, at, what });
    }

    /// The steps that make trades and end before `by`, each with its end.
    pub fn trades_by(&self, by: i64) -> Vec<(u64, i64)> {
        let end = |step: &Step| match &step.what {
            What::Trades { span, .. } => Some((step.id, step.at + span)),
            _ => None,
        };
        self.steps.iter().filter_map(end).filter(|(_, ends)| *ends < by).collect()
    }
}

/// Draws the history of this seed.
pub fn draw(seed: u64, profile: Profile) -> History {
    let number = Profile::ALL.iter().position(|of| *of == profile).unwrap_or(0);
    let mut random = Random::of(seed, &[u64::try_from(number).unwrap_or(0)]);
    let mut rules = rules(&mut random);
    let minutes = random.between(6, 8);
    let is_old = profile.has(Profile::Lifecycle) && random.chance(60);
    if is_old {
        rules.cutoff_s = (BEGINS_AT - world::ARCHIVED) / SECOND;
        rules.markets_cutoff_s = rules.cutoff_s;
        rules.historical_overlap_s = *random.pick(&[0, 0, 3_600]);
    }
    let mut drawing = Drawing {
        random,
        profile,
        ends_at: minutes * MINUTE,
        lasting: Vec::new(),
        selection: Vec::new(),
        sla: MINUTE,
        is_old,
        pause: None,
        steps: Vec::new(),
    };
    drawing.sla = *drawing.random.pick(&[2 * MINUTE, 5 * MINUTE]);
    let rest = troubles::rest(&mut drawing);
    let asleep = troubles::sleeps(&mut drawing);
    troubles::pause(&mut drawing);
    world::draw(&mut drawing, rest + asleep);
    select(&mut drawing);
    passes(&mut drawing, minutes);
    others(&mut drawing);
    troubles::draw(&mut drawing);
    if drawing.steps.iter().any(Step::is_far_behind) {
        // Between two short pages, a server that is far behind leaves a hole that no client can see. The pages of the
        // real exchange have a thousand rows.
        rules.page_rows_max = None;
    }
    let Drawing { mut steps, selection, sla, ends_at, .. } = drawing;
    let ends_at = ends_at + asleep;
    keep_to_the_promise(&mut steps);
    steps.sort_by_key(|step| (step.at, step.id));
    History { seed: mix(seed), profile, rules, steps, selection, sla, ends_at, rest }
}

fn rules(random: &mut Random) -> Rules {
    Rules {
        max_ts: *random.pick(&[MaxTs::Inclusive, MaxTs::Exclusive]),
        list_end: *random.pick(&[ListEnd::EmptyString, ListEnd::Null, ListEnd::Absent]),
        cursor_after_full_page: random.chance(500),
        malformed_cursor: *random.pick(&[MalformedCursor::FirstPage, MalformedCursor::Refused]),
        page_rows_max: *random.pick(&[None, None, Some(7), Some(25), Some(60)]),
        rate_clock: RateClock::Exchange,
        extra_fields: random.chance(300),
        ..Rules::default()
    }
}

/// Removes steps whose effects the program does not promise to handle, see the documentation of this crate.
fn keep_to_the_promise(steps: &mut Vec<Step>) {
    // Two servers can differ: one shows the newest trade, and another one shows a slice.
    let is_torn = steps.iter().any(Step::is_far_behind_at_times);
    let is_of_slices = |what: &What| matches!(what, What::Run(command) if ["backfill", "completeness"].contains(&command.args[0].as_str()));
    steps.retain(|step| !(is_torn && is_of_slices(&step.what)));
}

fn select(drawing: &mut Drawing) {
    let all = drawing.lasting.join(",");
    let words: &[&str] = match drawing.random.below(10) {
        0..=3 => &["--series", "KXA"],
        4..=6 => &["--market", &all],
        7 => &["--event", "KXA-E1"],
        _ => &["--all"],
    };
    let has_first = drawing.lasting.iter().any(|ticker| ticker.starts_with("KXA-E1-"));
    let words = if words[0] == "--event" && !has_first { &["--series", "KXA"] } else { words };
    drawing.selection = words.iter().map(|word| (*word).to_owned()).collect();
}

/// The staleness that passes allow, as flags.
pub fn sla_flags(sla: i64) -> [String; 2] {
    ["--sla".to_owned(), format!("{}s", sla / SECOND)]
}

/// The passes that cron starts every minute.
fn passes(drawing: &mut Drawing, minutes: i64) {
    let offset = drawing.random.between(0, 5 * SECOND);
    let is_synced = drawing.profile.has(Profile::Lifecycle) && drawing.random.chance(500);
    let sla = sla_flags(drawing.sla);
    let mut flags: Vec<&str> = sla.iter().map(String::as_str).collect();
    flags.extend(if is_synced { vec!["--sync-markets", "5m"] } else { Vec::new() });
    if drawing.random.chance(200) {
        flags.extend(["--workers", "2"]);
    }
    let has_kills = drawing.profile.has(Profile::Kills);
    for minute in 0..minutes {
        let at = minute * MINUTE + offset;
        let mut selection = drawing.selection.clone();
        if drawing.profile.has(Profile::Lifecycle) && drawing.random.chance(100) {
            let place = drawing.random.index(drawing.lasting.len());
            selection = vec!["--market".to_owned(), drawing.lasting[place].clone()];
        }
        let mut pass = command("run", &selection, &flags);
        if has_kills && drawing.random.chance(250) {
            pass.killed_at = Some(kill(drawing));
        }
        if has_kills && drawing.random.chance(120) {
            let mut all = vec![(0, pass)];
            for _ in 0..drawing.random.between(1, 2) {
                let mut flags = flags.clone();
                if drawing.random.chance(500) {
                    // A pass of another shard: no lock keeps it from the same markets.
                    flags.extend(["--shard", *drawing.random.pick(&["0/2", "1/2"])]);
                }
                let mut other = command("run", &drawing.selection.clone(), &flags);
                if drawing.random.chance(250) {
                    other.killed_at = Some(kill(drawing));
                }
                all.push((drawing.random.between(0, 3 * SECOND), other));
            }
            drawing.add(at, What::Together(all));
        } else {
            drawing.add(at, What::Run(pass));
        }
    }
}

/// The number of the effect before which a process is killed. Low numbers are more likely, because most processes
/// have few effects.
fn kill(drawing: &mut Drawing) -> u64 {
    let last = *drawing.random.pick(&[12, 30, 60, 120]);
    drawing.random.below(last) + 1
}

/// The commands that people start.
fn others(drawing: &mut Drawing) {
    if !drawing.profile.has(Profile::Lifecycle) && !drawing.profile.has(Profile::Kills) {
        return;
    }
    for _ in 0..drawing.random.between(0, 4) {
        let at = drawing.random.between(MINUTE, drawing.ends_at) + 25 * SECOND;
        let at = at.min(drawing.ends_at - 30 * SECOND);
        let mut other = other(drawing, at);
        if drawing.profile.has(Profile::Kills) && drawing.random.chance(300) {
            other.killed_at = Some(kill(drawing));
        }
        drawing.add(at, What::Run(other));
    }
}

/// One of the commands that are no pass.
fn other(drawing: &mut Drawing, at: i64) -> Command {
    let selection = drawing.selection.clone();
    let hours = *drawing.random.pick(&[1, 3, 6]);
    let mut window = (at - hours * HOUR, at - 10 * SECOND);
    if drawing.is_old {
        // The window lies across the archive cutoff; for the whole exchange, each hour is a slice.
        let is_all = selection.iter().any(|flag| flag == "--all");
        let middle = *drawing.random.pick(&[-60 * DAY, -59 * DAY, -58 * DAY]);
        let far = if is_all { 2 * HOUR } else { 10 * DAY };
        window = (middle - far, middle + far);
    }
    let (from, to) = (instant(window.0), instant(window.1));
    let window = ["--from", &from, "--to", &to, "--deadline", "5m"];
    match drawing.random.below(16) {
        0..=2 => command("backfill", &selection, &window),
        3 | 4 => command("backfill", &selection, &["--from", &from, "--to", &to, "--dry-run"]),
        5 | 6 => command("completeness", &selection, &["--heal"]),
        7 => command("completeness", &selection, &[]),
        8 => command("replay", &[], &[]),
        9 => command("replay", &[], &["--into", "rebuilt", "--compare"]),
        10 => command("prune", &[], &["--raw-older-than", "1h"]),
        11 => command("prune", &[], &["--raw-older-than", "1h", "--dry-run"]),
        12 => command("markets", &selection, &[]),
        13 if !selection.iter().any(|flag| flag == "--all") => {
            command("orderbooks", &selection, &[])
        }
        13 => command("status", &selection, &["--output", "prometheus"]),
        14 => command("status", &selection, &["--output", "json"]),
        _ => command("status", &selection, &["--check"]),
    }
}

/// An instant as a flag's value.
pub fn instant(at: i64) -> String {
    kalshi_ingest::domain::time::Timestamp::from_micros(BEGINS_AT + at).floor().to_string()
}
