//! Draws a history from a seed: the world first, then the commands, then what goes wrong.
//!
//! The world keeps to what the exchange promises: no trade is shown later than the overlap of a pass reaches back.

use kalshi_simulator::{
    Fault, ListEnd, MalformedCursor, MaxTs, RateClock, Rules, Trade, seeded_trades,
};

use crate::history::{
    BEGINS_AT, Command, HOUR, History, MINUTE, Profile, SECOND, Step, Trouble, What,
};
use crate::random::{Random, mix};
use crate::troubles;

/// A command with the flags that all of its kind have.
pub fn command(name: &str, selection: &[String], flags: &[&str]) -> Command {
    let mut args = vec![name.to_owned()];
    if ["run", "backfill", "completeness", "markets"].contains(&name) {
        args.extend(["--base-url", "http://exchange.simulated/trade-api/v2"].map(str::to_owned));
    }
    args.extend(selection.iter().cloned());
    args.extend(flags.iter().map(|flag| (*flag).to_owned()));
    Command { args, killed_at: None }
}

/// The trades of a step, each with the time from which it is shown.
pub fn trades_of(seed: u64, step: &Step) -> Vec<(Trade, i64)> {
    let What::Trades { ticker, count, span, late_max } = &step.what else { return Vec::new() };
    let from = BEGINS_AT + step.at;
    let mut random = Random::of(seed, &[0x7a, step.id]);
    let own_seed = mix(seed ^ mix(step.id));
    let trades = seeded_trades(own_seed, ticker, *count, from, from + (*span).max(1));
    // The oldest first, and what trades at one instant is shown at one.
    trades
        .into_iter()
        .map(|trade| {
            let late = if random.chance(800) { 0 } else { random.between(0, *late_max) };
            let shown_at = trade.created_us + late;
            (trade, shown_at)
        })
        .collect()
}

/// What a history is drawn into.
pub struct Drawing {
    /// Where chance comes from.
    pub random: Random,
    /// What it is about.
    pub profile: Profile,
    /// When the trouble has to be over.
    pub ends_at: i64,
    /// The markets that trade to the end.
    pub lasting: Vec<String>,
    /// What is selected.
    pub selection: Vec<String>,
    steps: Vec<Step>,
}

impl Drawing {
    /// Something happens.
    pub fn add(&mut self, at: i64, what: What) {
        let id = u64::try_from(self.steps.len()).unwrap_or(0);
        self.steps.push(Step { id, at, what });
    }
}

/// The history of this seed.
pub fn draw(seed: u64, profile: Profile) -> History {
    let number = Profile::ALL.iter().position(|of| *of == profile).unwrap_or(0);
    let mut random = Random::of(seed, &[u64::try_from(number).unwrap_or(0)]);
    let mut rules = rules(&mut random);
    let minutes = random.between(6, 8);
    let mut drawing = Drawing {
        random,
        profile,
        ends_at: minutes * MINUTE,
        lasting: Vec::new(),
        selection: Vec::new(),
        steps: Vec::new(),
    };
    let rest = troubles::rest(&mut drawing);
    let asleep = troubles::sleeps(&mut drawing);
    world(&mut drawing, rest + asleep);
    passes(&mut drawing, minutes);
    others(&mut drawing);
    troubles::draw(&mut drawing);
    if drawing.steps.iter().any(Step::is_far_behind) {
        // Between two short pages a server that is far behind leaves a hole that nobody can see: those of the
        // exchange have a thousand rows.
        rules.page_rows_max = None;
    }
    let Drawing { mut steps, selection, ends_at, .. } = drawing;
    let ends_at = ends_at + asleep;
    keep_to_the_promise(&mut steps);
    steps.sort_by_key(|step| (step.at, step.id));
    History { seed: mix(seed), profile, rules, steps, selection, ends_at, rest }
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

/// Leaves out what the program does not promise to see through, see the words about this crate.
fn keep_to_the_promise(steps: &mut Vec<Step>) {
    let is_empty = |step: &Step| {
        matches!(&step.what, What::Disturb { trouble: Trouble::Fault(path, Fault::EmptyList), .. }
            if *path != "/markets")
    };
    let is_behind = steps.iter().any(Step::is_far_behind);
    let is_emptied = steps.iter().any(is_empty);
    // A slice is believed empty when two questions about it are answered so.
    let is_of_slices = |what: &What| matches!(what, What::Run(command) if ["backfill", "completeness"].contains(&command.args[0].as_str()));
    // Nor is it sure of the last minutes of a tape that stands still.
    steps.retain(|step| !((is_emptied || is_behind) && is_of_slices(&step.what)));
}

/// Markets and their trades.
fn world(drawing: &mut Drawing, rest: i64) {
    let count = drawing.random.between(1, 4);
    // The last passes see trades as well: a silence that is not plausible is no freshness.
    let finale_at = drawing.ends_at + rest;
    let quiet_at = finale_at + 110 * SECOND;
    for number in 1..=count {
        let event = drawing.random.between(1, 2);
        let ticker = format!("KXA-E{event}-M{number}");
        let opened = -drawing.random.between(10 * MINUTE, 5 * HOUR);
        drawing.add(opened, What::Open { ticker: ticker.clone(), lasts: 30 * 24 * HOUR });
        let before = drawing.random.between(0, 60);
        trade(drawing, &ticker, opened, -opened, before);
        drawing.lasting.push(ticker);
    }
    let mut at = 0;
    while at < quiet_at {
        // While nobody looks, little happens.
        let is_between = at > drawing.ends_at && at < finale_at - 3 * MINUTE;
        let longest = if is_between { 9 * MINUTE } else { MINUTE };
        let longest = if at >= finale_at - 3 * MINUTE { 30 * SECOND } else { longest };
        let ends = if is_between { finale_at - 3 * MINUTE } else { quiet_at };
        let span = drawing.random.between(longest / 3, longest).min(ends - at);
        let place = drawing.random.index(drawing.lasting.len());
        let ticker = drawing.lasting[place].clone();
        // A burst now and then.
        let many = if is_between { 2 } else { 10 };
        let count =
            if drawing.random.chance(100) { many * 4 } else { drawing.random.between(1, many) };
        trade(drawing, &ticker, at, span, count);
        at += span.max(SECOND);
    }
    if drawing.profile.has(Profile::Lifecycle) {
        mortals(drawing);
    }
    select(drawing);
}

fn trade(drawing: &mut Drawing, ticker: &str, at: i64, span: i64, count: i64) {
    let count = usize::try_from(count).unwrap_or(0);
    if count == 0 || span <= 0 {
        return;
    }
    let late_max = match drawing.random.below(10) {
        0 if drawing.profile == Profile::Everything => 90 * SECOND,
        0..=2 if drawing.profile != Profile::Calm => 4 * SECOND,
        _ => 400_000,
    };
    drawing.add(at, What::Trades { ticker: ticker.to_owned(), count, span, late_max });
}

/// How those are called.
const MORTAL: &str = "KXA-E3-D";

/// Markets that open and end within the history.
fn mortals(drawing: &mut Drawing) {
    for number in 1..=drawing.random.between(1, 3) {
        let ticker = format!("{MORTAL}{number}");
        let opens = drawing.random.between(-30 * MINUTE, 5 * MINUTE);
        let lasts = drawing.random.between(MINUTE, 8 * MINUTE) + (-opens).max(0);
        drawing.add(opens, What::Open { ticker: ticker.clone(), lasts });
        for _ in 0..drawing.random.between(1, 4) {
            let start = opens + drawing.random.between(0, lasts * 3 / 4);
            let count = drawing.random.between(1, 12);
            trade(drawing, &ticker, start, (opens + lasts - start).min(40 * SECOND), count);
        }
        let settles = opens + lasts + drawing.random.between(SECOND, 3 * MINUTE);
        if drawing.random.chance(700) && settles < drawing.ends_at - MINUTE {
            drawing.add(settles, What::Settle { ticker });
        }
    }
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

/// What cron starts every minute.
fn passes(drawing: &mut Drawing, minutes: i64) {
    let offset = drawing.random.between(0, 5 * SECOND);
    let is_synced = drawing.profile.has(Profile::Lifecycle) && drawing.random.chance(500);
    let mut flags: Vec<&str> = if is_synced { vec!["--sync-markets", "5m"] } else { Vec::new() };
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

/// Before which effect a process is killed: more often where it works.
fn kill(drawing: &mut Drawing) -> u64 {
    let last = *drawing.random.pick(&[12, 30, 60, 120]);
    drawing.random.below(last) + 1
}

/// What people start.
fn others(drawing: &mut Drawing) {
    if !drawing.profile.has(Profile::Lifecycle) && !drawing.profile.has(Profile::Kills) {
        return;
    }
    for _ in 0..drawing.random.between(0, 3) {
        let at = drawing.random.between(MINUTE, drawing.ends_at) + 25 * SECOND;
        let at = at.min(drawing.ends_at - 30 * SECOND);
        let selection = drawing.selection.clone();
        let mut other = match drawing.random.below(6) {
            0 | 1 => {
                let hours = *drawing.random.pick(&[1, 3, 6]);
                let (from, to) = (instant(at - hours * HOUR), instant(at - 10 * SECOND));
                command("backfill", &selection, &["--from", &from, "--to", &to, "--deadline", "5m"])
            }
            2 => command("completeness", &selection, &["--heal"]),
            3 => command("replay", &[], &[]),
            4 => command("prune", &[], &["--raw-older-than", "1h"]),
            _ => command("markets", &selection, &[]),
        };
        if drawing.profile.has(Profile::Kills) && drawing.random.chance(300) {
            other.killed_at = Some(kill(drawing));
        }
        drawing.add(at, What::Run(other));
    }
}

/// An instant as it is typed.
pub fn instant(at: i64) -> String {
    kalshi_ingest::domain::time::Timestamp::from_micros(BEGINS_AT + at).floor().to_string()
}
