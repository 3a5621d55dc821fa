//! Draws a world: markets, their trades, and the changes of both.

use kalshi_simulator::{Shape, Trade, seeded_trades};

use crate::draw::Drawing;
use crate::history::{
    Amendment, BEGINS_AT, DAY, HOUR, MINUTE, Oddity, Otherwise, Profile, SECOND, Step, What,
};
use crate::random::{Random, mix};
use crate::truth::Odd;

/// The beginning of the names of markets that open and end within the history.
const MORTAL: &str = "KXA-E3-D";
/// The age above which trades are in the archive when a history with an archive begins.
pub const ARCHIVED: i64 = 61 * DAY;

/// The trades of a step, each with the time from which it is shown.
pub fn trades_of(seed: u64, step: &Step) -> Vec<(Trade, i64)> {
    let What::Trades { ticker, count, span, late_max } = &step.what else { return Vec::new() };
    let from = BEGINS_AT + step.at;
    let mut random = Random::of(seed, &[0x7a, step.id]);
    let own_seed = mix(seed ^ mix(step.id));
    let trades = seeded_trades(own_seed, ticker, *count, from, from + (*span).max(1));
    // The trades are sorted by time, and trades of one instant are shown at one instant.
    trades
        .into_iter()
        .map(|mut trade| {
            let late = if random.chance(800) { 0 } else { random.between(0, *late_max) };
            let shown_at = trade.created_us + late;
            if random.chance(40) {
                make_odd(&mut trade, &mut random);
            }
            (trade, shown_at)
        })
        .collect()
}

/// Gives a trade values at the bounds, and the fields of other years.
fn make_odd(trade: &mut Trade, random: &mut Random) {
    match random.below(4) {
        0 => trade.yes_price_e6 = *random.pick(&[0, 1, 100, 123_456, 999_999, 1_000_000]),
        1 => trade.count_e2 = *random.pick(&[1, 99, 101, 100_000_000, 12_345_678_901]),
        2 => trade.shape = *random.pick(&[Shape::Spring, Shape::CurrentWithoutTakerSide]),
        _ => trade.is_block_trade = true,
    }
}

/// The trade with another value.
pub fn otherwise(trade: &Trade, otherwise: Otherwise) -> Trade {
    let mut trade = trade.clone();
    match otherwise {
        Otherwise::Price => trade.yes_price_e6 = (trade.yes_price_e6 + 10_000) % 1_000_001,
        Otherwise::Side => trade.taker_yes = !trade.taker_yes,
        Otherwise::Count => trade.count_e2 += 100,
    }
    trade
}

/// An odd row of a step: its place, and its bytes. Its count cannot be added to a volume.
pub fn odd_of(step: &Step) -> Option<(Odd, Vec<u8>)> {
    let What::Odd { ticker, oddity } = &step.what else { return None };
    let created_us = BEGINS_AT + step.at;
    let tag = format!("odd-row-{}.", step.id);
    let at = kalshi_ingest::domain::time::Timestamp::from_micros(created_us);
    let row = |id: &str, name: &str, at: &str, count: &str, prices: &str, side: &str| {
        format!(
            r#"{{"count_fp":"{count}","created_time":"{at}",{prices}{side}{name}{id}"z_note":"{tag}"}}"#
        )
    };
    let id = format!(r#""trade_id":"{tag}","#);
    let name = format!(r#""ticker":"{ticker}","#);
    let prices = r#""no_price_dollars":"0.4000","yes_price_dollars":"0.6000","#;
    let side = r#""taker_side":"yes","#;
    let (at, fine, count) = (at.to_string(), "1.005", "many");
    let json: Vec<u8> = match oddity {
        Oddity::Price => {
            row(&id, &name, &at, fine, r#""yes_price_dollars":"1.5000","#, side).into()
        }
        Oddity::Prices => {
            let prices = r#""no_price_dollars":"0.4000","yes_price_dollars":"0.7000","#;
            row(&id, &name, &at, fine, prices, side).into()
        }
        Oddity::Count => row(&id, &name, &at, fine, prices, side).into(),
        Oddity::Date => row(&id, &name, "2026-13-45T00:00:00Z", fine, prices, side).into(),
        Oddity::Future => row(&id, &name, "9999-01-01T00:00:00Z", fine, prices, side).into(),
        Oddity::NoSide => row(&id, &name, &at, fine, prices, "").into(),
        Oddity::NoId => row("", &name, &at, fine, prices, side).into(),
        Oddity::NoTicker => row(&id, "", &at, fine, prices, side).into(),
        Oddity::Text => format!(r#""{tag}""#).into(),
        Oddity::RawNul => row(&id, &name, &at, "1\0", prices, side).into(),
        Oddity::NoText => {
            let mut json = row(&id, &name, &at, count, prices, side).into_bytes();
            if let Some(byte) = json.iter_mut().find(|byte| **byte == b'm') {
                *byte = 0xff;
            }
            json
        }
        Oddity::Cut => {
            let mut json = row(&id, &name, &at, count, prices, side);
            json.truncate(json.len() - 1);
            json.into()
        }
    };
    let ticker = ticker.clone();
    Some((Odd { ticker, created_us, shown_at: created_us, tag, is_kept: false }, json))
}

/// Draws markets and their trades; no command runs for `rest` before the last passes.
pub fn draw(drawing: &mut Drawing, rest: i64) {
    let count = drawing.random.between(1, 4);
    // The last passes see trades as well: an implausible silence is no freshness.
    let finale_at = drawing.ends_at + rest;
    let quiet_at = finale_at + 110 * SECOND;
    for number in 1..=count {
        let event = drawing.random.between(1, 2);
        let ticker = format!("KXA-E{event}-M{number}");
        let opened = if drawing.is_old && drawing.random.chance(600) {
            -drawing.random.between(62 * DAY, 70 * DAY)
        } else {
            -drawing.random.between(10 * MINUTE, 5 * HOUR)
        };
        drawing.add(opened, What::Open { ticker: ticker.clone(), lasts: 30 * DAY - opened });
        let before = drawing.random.between(0, 40);
        if opened < -DAY {
            // Some of its trades are archived from the beginning, some later, some never.
            trade(drawing, &ticker, opened, -opened - ARCHIVED, before / 3);
            trade(drawing, &ticker, -ARCHIVED, 3 * DAY, before / 3);
        }
        let lately = opened.max(-5 * HOUR);
        trade(drawing, &ticker, lately, -lately, before);
        drawing.lasting.push(ticker);
    }
    if drawing.random.chance(500) {
        stranger(drawing);
    }
    let mut at = 0;
    while at < quiet_at {
        // While no pass runs, there are few trades.
        let is_between = at > drawing.ends_at && at < finale_at - 3 * MINUTE;
        let longest = if is_between { 9 * MINUTE } else { MINUTE };
        let longest = if at >= finale_at - 3 * MINUTE { 30 * SECOND } else { longest };
        let ends = if is_between { finale_at - 3 * MINUTE } else { quiet_at };
        let span = drawing.random.between(longest / 3, longest).min(ends - at);
        let place = drawing.random.index(drawing.lasting.len());
        let ticker = drawing.lasting[place].clone();
        // A burst happens now and then. There is none at the end, because after a burst the next pass asks again about
        // a pause.
        let many = if is_between { 2 } else { 15 };
        let is_burst = at < finale_at - 3 * MINUTE && drawing.random.chance(100);
        let count = if is_burst { many * 4 } else { drawing.random.between(1, many) };
        trade(drawing, &ticker, at, span, count);
        at += span.max(SECOND);
    }
    if drawing.profile.has(Profile::Lifecycle) {
        mortals(drawing);
        amendments(drawing);
    }
    if drawing.profile.has(Profile::Absence) {
        oddities(drawing);
    }
    if drawing.is_old {
        for _ in 0..drawing.random.between(1, 2) {
            let at = drawing.random.between(MINUTE, drawing.ends_at);
            let before = *drawing.random.pick(&[-60 * DAY, -59 * DAY, -58 * DAY]);
            drawing.add(at, What::Cutoff { before });
        }
    }
}

/// Draws a market of a series that is only selected with everything.
fn stranger(drawing: &mut Drawing) {
    let ticker = "KXB-E1-S1";
    drawing.add(-HOUR, What::Open { ticker: ticker.to_owned(), lasts: 30 * DAY });
    for _ in 0..drawing.random.between(0, 3) {
        let at = drawing.random.between(-HOUR, drawing.ends_at);
        let count = drawing.random.between(1, 10);
        trade(drawing, ticker, at, MINUTE, count);
    }
}

/// Draws trades of a market, except while trading is paused.
fn trade(drawing: &mut Drawing, ticker: &str, at: i64, span: i64, count: i64) {
    let (mut at, mut until) = (at, at + span);
    if let Some((from, to)) = drawing.pause {
        if (from..to).contains(&at) {
            at = to;
        } else if (from..to).contains(&until) || at < from && to <= until {
            until = from;
        }
    }
    let count = usize::try_from(count).unwrap_or(0);
    if count == 0 || until <= at {
        return;
    }
    let late_max = match drawing.random.below(10) {
        0 if drawing.profile == Profile::Everything => 90 * SECOND,
        0..=2 if drawing.profile != Profile::Calm => 4 * SECOND,
        _ => 400_000,
    };
    let what = What::Trades { ticker: ticker.to_owned(), count, span: until - at, late_max };
    drawing.add(at, what);
}

/// Draws markets that open and end within the history. Some close at another time than described before, and some are
/// removed.
fn mortals(drawing: &mut Drawing) {
    if drawing.is_old {
        long_gone(drawing);
    }
    for number in 1..=drawing.random.between(1, 3) {
        let ticker = format!("{MORTAL}{number}");
        let opens = drawing.random.between(-30 * MINUTE, 5 * MINUTE);
        let said = drawing.random.between(MINUTE, 8 * MINUTE) + (-opens).max(0);
        drawing.add(opens, What::Open { ticker: ticker.clone(), lasts: said });
        let mut lasts = said;
        if drawing.random.chance(250) {
            // From the middle of its life on, its description shows the new closing time.
            let known = said / 2;
            lasts = if drawing.random.chance(500) {
                drawing.random.between(known + SECOND, said)
            } else {
                said + drawing.random.between(SECOND, 3 * MINUTE)
            };
            let amendment = Amendment::Close(opens + lasts);
            drawing.add(opens + known, What::Amend { ticker: ticker.clone(), amendment });
        }
        let ends = opens + lasts;
        let vanishes = (drawing.random.chance(150) && ends > 0)
            .then(|| drawing.random.between(opens.max(0), ends.min(drawing.ends_at - MINUTE)));
        let trades_until = vanishes.map_or(ends, |at| at.min(ends));
        for _ in 0..drawing.random.between(0, 3) {
            let start = drawing.random.between(opens, trades_until);
            let count = drawing.random.between(1, 12);
            trade(drawing, &ticker, start, (trades_until - start).min(40 * SECOND), count);
        }
        let settles = ends + drawing.random.between(SECOND, 3 * MINUTE);
        if let Some(at) = vanishes {
            drawing.add(at, What::Remove { ticker });
        } else if drawing.random.chance(700) && settles < drawing.ends_at - MINUTE {
            drawing.add(settles, What::Settle { ticker });
        }
    }
}

/// Draws a market that only the archive knows.
fn long_gone(drawing: &mut Drawing) {
    let ticker = format!("{MORTAL}0");
    drawing.add(-66 * DAY, What::Open { ticker: ticker.clone(), lasts: 3 * DAY });
    let count = drawing.random.between(0, 20);
    trade(drawing, &ticker, -66 * DAY, 3 * DAY, count);
    drawing.add(-63 * DAY + HOUR, What::Settle { ticker });
}

/// Draws changes of descriptions and trades.
fn amendments(drawing: &mut Drawing) {
    for number in 0..drawing.random.between(0, 2) {
        let place = drawing.random.index(drawing.lasting.len());
        let ticker = drawing.lasting[place].clone();
        let at = drawing.random.between(0, drawing.ends_at);
        let amendment = if drawing.random.chance(700) {
            Amendment::Title(format!("Title {number} of {ticker}?"))
        } else {
            Amendment::Grid("deci_cent")
        };
        drawing.add(at, What::Amend { ticker, amendment });
    }
}

/// Draws unreadable rows among valid ones, and trades that are shown with other values later.
fn oddities(drawing: &mut Drawing) {
    for _ in 0..drawing.random.between(0, 3) {
        let place = drawing.random.index(drawing.lasting.len());
        let ticker = drawing.lasting[place].clone();
        let at = drawing.random.between(-5 * MINUTE, drawing.ends_at);
        let oddity = *drawing.random.pick(&Oddity::ALL);
        drawing.add(at, What::Odd { ticker, oddity });
    }
    let made = drawing.trades_by(drawing.ends_at - 30 * SECOND);
    for _ in 0..drawing.random.between(0, 2) {
        if made.is_empty() {
            return;
        }
        let (of, ends) = made[drawing.random.index(made.len())];
        let earliest = (ends + 91 * SECOND).max(0);
        let at = drawing.random.between(earliest, earliest + 2 * MINUTE);
        let place = drawing.random.index(100);
        let kinds = [Otherwise::Price, Otherwise::Price, Otherwise::Side, Otherwise::Count];
        let otherwise = *drawing.random.pick(&kinds);
        drawing.add(at, What::Again { of, place, otherwise });
    }
}
