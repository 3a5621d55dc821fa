//! The transcripts of the walk: their format, and their player.

use crate::domain::ticker::Ticker;
use std::time::Duration;

use std::fmt::Write as _;

use super::super::super::batch::{Batch, Committed, Receipt};
use super::super::super::checkpoint::{Checkpoint, Window};
use super::super::super::trade::{Price, Quantity, Side, Trade};
use super::super::*;

pub(in crate::domain) const RULES: Rules = Rules {
    overlap: Duration::from_secs(10),
    settle: Duration::from_secs(5),
    since: None,
    pages_max: 100,
    ..Rules::EXACT
};

/// Plays a transcript, with the only calls into the walk. Times are seconds of exchange time.
///
/// * `rules NAME=VALUE …` changes the rules, `have STATE` sets the checkpoint that is loaded, and `again` loads the
///   one that was committed last.
/// * `ask REQUEST | ANSWER | ROWS | STATE`: the expected request, the answer to it, the rows to store, and the
///   checkpoint after storing them. The bounds of a request are Unix seconds, as sent. An answer has `@DATE`, `~TIME`
///   if our clock shows another time, then trades (`b94.5` is id and time), `!x` for an unreadable row, `?` for a row
///   of another market, and `>c1` for the cursor. On the tape `B:b94.5` and `!B:x` name their market. A stored row
///   with `*` is late; `=` is no change.
/// * `refused` answers the current request by refusing its cursor.
/// * `level` and `guarded GUARD` say how the walk ends, and `cut` says that it has not ended.
/// * `# REASON` gives the reason for the next line.
pub(in crate::domain) fn play(transcript: &str) {
    let mut rules = RULES;
    let mut checkpoint = Checkpoint::first(market(), time("0"));
    let mut walk = Walk::new(&checkpoint, rules);
    let mut reason = "";
    // Each answer counts as that of another pass. Other tests cover silences that two passes have to hear.
    let mut passes = 0;
    for line in transcript.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let why = format!("{line}\n  because {reason}");
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "#" => {
                reason = rest;
                continue;
            }
            "rules" => rest.split(' ').for_each(|change| change_rule(&mut rules, change)),
            "have" => checkpoint = state_from(rest),
            "again" | "level" | "guarded" | "cut" => {}
            "refused" => {
                assert!(walk.has_cursor(), "{why}");
                walk.cursor_refused();
            }
            "ask" => {
                let columns: Vec<&str> = rest.split('|').map(str::trim).collect();
                let [request, answer, rows, state] = columns[..] else { panic!("{line}") };
                let Next::Fetch(asked) = walk.next() else { panic!("it is over: {why}") };
                assert_eq!(
                    (&asked.scope, &*request_text(&asked)),
                    (&market().into(), request),
                    "{why}"
                );
                let mut batch = Batch::default();
                batch.push(walk.page(page_from(answer)));
                let mut committed = Committed::new([checkpoint.clone()]);
                passes += 1;
                let commit = batch.seal(&committed, passes, time("0"));
                let mut stored = String::new();
                for row in commit.rows() {
                    let mark = if row.late_by.is_some() { "*" } else { "" };
                    write!(stored, "{}{mark} ", row.event.trade.trade_id).unwrap();
                }
                for row in commit.rejected() {
                    write!(stored, "!{} ", row.payload).unwrap();
                }
                assert_eq!(stored.trim_end(), rows, "{why}");
                let before = state_text(&checkpoint);
                committed.apply(commit, &Receipt::default());
                checkpoint = committed.market(&market()).unwrap().clone();
                let after = state_text(&checkpoint);
                assert_eq!(if after == before { "=" } else { &after }, state, "{why}");
            }
            _ => panic!("{line}"),
        }
        match word {
            "rules" | "have" | "again" => walk = Walk::new(&checkpoint, rules),
            "level" => assert_eq!(walk.next(), Next::Done(End::Level), "{why}"),
            "guarded" => {
                let Next::Done(End::Guarded(guard)) = walk.next() else { panic!("{why}") };
                assert_eq!(format!("{guard:?}"), rest, "{why}");
                assert!(!guard.to_string().is_empty());
                checkpoint.failures += 1;
                if let Some(walk) = &mut checkpoint.walk {
                    walk.cursor = None;
                }
            }
            "cut" => assert!(matches!(walk.next(), Next::Fetch(_)), "{why}"),
            _ => {}
        }
    }
}

fn market() -> Ticker {
    Ticker::new("KX").unwrap()
}

pub(in crate::domain) fn change_rule(rules: &mut Rules, change: &str) {
    let (name, value) = change.split_once('=').unwrap();
    match name {
        "overlap" => rules.overlap = time(value).since(time("0")),
        "settle" => rules.settle = time(value).since(time("0")),
        "since" => rules.since = Some(time(value)),
        "pages" => rules.pages_max = value.parse().unwrap(),
        "cutoff" => rules.cutoff = Some(time(value)),
        "nudge" => rules.nudge = value.parse().unwrap(),
        "step" => rules.step = Some(time(value).since(time("0"))),
        _ => panic!("{change}"),
    }
}

pub(in crate::domain) fn time(text: &str) -> Timestamp {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    Timestamp::from_micros(format!("{seconds}{fraction:0<6}").parse().unwrap())
}

fn time_text(at: Timestamp) -> String {
    let text = format!("{}.{:06}", at.second(), at.micros() - at.floor().micros());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The text `[from..until]`, where `from` may be missing.
fn edges_text(from: Option<Timestamp>, until: Timestamp) -> String {
    format!("{}..{}", from.map(time_text).unwrap_or_default(), time_text(until))
}

fn edges_from(text: &str) -> (Option<Timestamp>, Timestamp) {
    let (from, until) = text.split_once("..").unwrap();
    ((!from.is_empty()).then(|| time(from)), time(until))
}

pub(in crate::domain) fn request_text(request: &PageRequest) -> String {
    let bound = |second: Option<i64>| second.map(|second| second.to_string()).unwrap_or_default();
    let cursor = request.cursor.as_ref().map(|cursor| format!(" {cursor}")).unwrap_or_default();
    let tier = if request.tier == Tier::Archive { " archived" } else { "" };
    format!("{}..{}{cursor}{tier}", bound(request.min_ts), bound(request.max_ts))
}

/// The state as text: `done FROM..UNTIL` or `new`, `^` with the id and time of the anchor, `_` with the time of the
/// footing, then `open FROM..UNTIL` with its `at CURSOR` and `low TIME`; `failed`.
pub(in crate::domain) fn state_text(checkpoint: &Checkpoint) -> String {
    let mut text = match checkpoint.complete_until {
        Some(until) => format!("done {}", edges_text(checkpoint.complete_from, until)),
        None => "new".to_owned(),
    };
    let anchor_text = |anchor: &Anchor| {
        format!(" ^{}", anchor.id.as_deref().unwrap_or("")) + &time_text(anchor.at)
    };
    text += &checkpoint.anchor.as_ref().map(anchor_text).unwrap_or_default();
    if let Some(at) = checkpoint.footing {
        write!(text, " _{}", time_text(at)).unwrap();
    }
    if let Some(OpenWalk { window, cursor, low, anchor }) = &checkpoint.walk {
        write!(text, " open {}", edges_text(window.from(), window.until())).unwrap();
        text += &anchor.as_ref().map(anchor_text).unwrap_or_default();
        if let Some(cursor) = cursor {
            write!(text, " at {cursor}").unwrap();
        }
        if let Some(low) = low {
            write!(text, " low {}", time_text(*low)).unwrap();
        }
    }
    text + if checkpoint.failures > 0 { " failed" } else { "" }
}

pub(in crate::domain) fn state_from(text: &str) -> Checkpoint {
    let mut checkpoint = Checkpoint::first(market(), time("0"));
    let mut words = text.split(' ');
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap();
        match word {
            "new" => {}
            "failed" => checkpoint.failures = 1,
            "done" => {
                let (from, until) = edges_from(value());
                (checkpoint.complete_from, checkpoint.complete_until) = (from, Some(until));
                // Two passes have read it to the end.
                (checkpoint.level_at, checkpoint.carried_until) = (Some(time("0")), Some(until));
            }
            "open" => {
                let (from, until) = edges_from(value());
                let window = Window::new(from, until).unwrap();
                checkpoint.walk = Some(OpenWalk { window, cursor: None, low: None, anchor: None });
            }
            word if word.starts_with('_') => checkpoint.footing = Some(time(&word[1..])),
            word if word.starts_with('^') => {
                let (id, at) =
                    word[1..].split_at(word.find(|c: char| c.is_ascii_digit()).unwrap() - 1);
                let id = (!id.is_empty()).then(|| id.into());
                let anchor = Some(Anchor { id, at: time(at) });
                if let Some(open) = &mut checkpoint.walk {
                    open.anchor = anchor;
                } else {
                    checkpoint.last_trade_at = Some(time(at));
                    checkpoint.anchor = anchor;
                }
            }
            "at" => checkpoint.walk.as_mut().unwrap().cursor = Some(value().to_owned()),
            "low" => checkpoint.walk.as_mut().unwrap().low = Some(time(value())),
            _ => panic!("{text}"),
        }
    }
    assert_eq!(state_text(&checkpoint), text);
    checkpoint
}

pub(in crate::domain) fn page_from(answer: &str) -> Page {
    let mut page = Page {
        events: Vec::new(),
        rejected: Vec::new(),
        foreign: 0,
        cursor: None,
        exchange_now: time("0"),
        our_now: time("0"),
    };
    for word in answer.split_whitespace() {
        match word.split_at(1) {
            ("@", date) => (page.exchange_now, page.our_now) = (time(date), time(date)),
            ("~", ours) => page.our_now = time(ours),
            (">", cursor) => page.cursor = Some(cursor.to_owned()),
            ("?", _) => page.foreign += 1,
            ("!", word) => {
                let (scope, id) = match word.split_once(':') {
                    Some((scope, id)) => (Scope::parse(scope).unwrap(), id),
                    None => (market().into(), word),
                };
                let (payload, reason) = (id.into(), "unreadable".into());
                page.rejected.push(Rejected { scope, trade_id: None, payload, reason });
            }
            _ => page.events.push(event(word)),
        }
    }
    page
}

fn named(word: &str) -> (Ticker, &str) {
    word.split_once(':').map_or((market(), word), |(name, word)| (Ticker::new(name).unwrap(), word))
}

fn event(word: &str) -> RawEvent {
    let (market, word) = named(word);
    let (id, at) = word.split_at(word.find(|c: char| c.is_ascii_digit()).unwrap());
    let trade = Trade {
        trade_id: id.into(),
        market,
        side: Side::Yes,
        price: Price::from_e4_cents(1).unwrap(),
        quantity: Quantity::from_e2(1).unwrap(),
        traded_at: time(at),
        is_block_trade: None,
    };
    RawEvent { trade, payload: id.into() }
}
