//! The values of operations, drawn from a world so small that calls meet each other: a few markets, a
//! few trades, a dozen seconds, and the odd values at the edges.

use std::time::Duration;

use kalshi_ingest::domain::account_limits::AccountRecord;
use kalshi_ingest::domain::book::{Book, Level, Snapshot};
use kalshi_ingest::domain::candle::{Candle, Figures, Interval, Ohlc};
use kalshi_ingest::domain::exchange_record::{ComeBack, ExchangeRecord};
use kalshi_ingest::domain::market::{Absence, Market, Sighting, Status, Terms};
use kalshi_ingest::domain::page::{Page, Traded};
use kalshi_ingest::domain::scope::Scope;
use kalshi_ingest::domain::selection::{Target, Watch};
use kalshi_ingest::domain::tally::{Retries, RetryReason, Tally};
use kalshi_ingest::domain::ticker::Ticker;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::domain::trade::{Price, Quantity, RawEvent, Rejected, Side, Trade};
use kalshi_ingest::store::{ExchangeKey, RunRecord};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// When the world takes place, in Unix seconds: an edge of an hour.
pub(super) const BEGINS: i64 = 1_785_002_400;

/// Some differ by case alone, some have letters that mean something in patterns or in lists, one sorts before the tape.
const MARKETS: [&str; 6] = ["A", "a", "A_1", "KX%", "Q4 2022-C220,000", "!X"];
const EVENTS: [&str; 3] = ["EV", "ev", "EV_%"];
const SERIES: [&str; 3] = ["KX", "kx", "K_"];
const IDS: [&str; 6] = ["t0", "t1", "t2", "T1", "t_", "t'\"\\"];
/// Words as the exchange and the network say them.
const WORDS: [&str; 8] =
    ["", "yes", "it's \"odd\"; drop", "é\u{10ffff}\u{200b}", "a\tb\nc", "\\", "NULL", "%_"];

pub(super) fn ticker(text: &str) -> Ticker {
    Ticker::new(text).unwrap()
}

pub(super) fn market() -> impl Strategy<Value = Ticker> {
    select(&MARKETS[..]).prop_map(ticker)
}

pub(super) fn markets() -> impl Strategy<Value = Vec<Ticker>> {
    vec(market(), 0..5)
}

pub(super) fn scope() -> impl Strategy<Value = Scope> {
    market().prop_map(Scope::Market)
}

/// Now and then the tape among the markets.
pub(super) fn scopes() -> impl Strategy<Value = Vec<Scope>> {
    vec(prop_oneof![8 => scope(), 1 => Just(Scope::Tape)], 0..5)
}

/// Each at most once.
pub(super) fn distinct_scopes() -> impl Strategy<Value = Vec<Scope>> {
    distinct(scopes())
}

pub(super) fn distinct<T: Ord + std::fmt::Debug>(
    list: impl Strategy<Value = Vec<T>>,
) -> impl Strategy<Value = Vec<T>> {
    list.prop_map(|mut list| {
        list.sort();
        list.dedup();
        list
    })
}

pub(super) fn event_name() -> impl Strategy<Value = Box<str>> {
    select(&EVENTS[..]).prop_map(Box::from)
}

pub(super) fn series_name() -> impl Strategy<Value = Box<str>> {
    select(&SERIES[..]).prop_map(Box::from)
}

/// What both stores can hold of any text.
pub(super) fn words() -> impl Strategy<Value = String> {
    select(&WORDS[..]).prop_map(str::to_owned)
}

/// What the exchange can say in JSON: U+0000 as well.
fn said() -> impl Strategy<Value = Box<str>> {
    prop_oneof![4 => words(), 1 => Just("nul\u{0}nul".to_owned())].prop_map(String::into_boxed_str)
}

/// A name of the selection.
pub(super) fn name() -> impl Strategy<Value = String> {
    target().prop_map(|target| target.name())
}

pub(super) fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        2 => select(&MARKETS[..2]).prop_map(|name| Target::Market(ticker(name))),
        2 => select(&EVENTS[..2]).prop_map(|name| Target::Event(ticker(name))),
        2 => select(&SERIES[..2]).prop_map(|name| Target::Series(ticker(name))),
        1 => Just(Target::All),
    ]
}

pub(super) fn watch() -> impl Strategy<Value = Watch> {
    (target(), span()).prop_map(|(target, sla)| Watch { target, sla })
}

/// An instant of a dozen seconds, so that many collide; seldom an hour off, or a year, or at the
/// edges of what is an instant.
pub(super) fn at() -> impl Strategy<Value = Timestamp> {
    let second = prop_oneof![
        30 => (BEGINS - 6..BEGINS + 6).boxed(),
        2 => select(&[BEGINS - 3_600, BEGINS + 3_600, BEGINS - 86_400, BEGINS - 31_536_000][..]).boxed(),
        1 => select(&[-62_135_596_800, -1, 0, 253_402_300_799][..]).boxed(),
    ];
    let micros = select(&[0, 0, 1, 500_000, 544_670, 999_999][..]);
    (second, micros)
        .prop_map(|(second, micros)| Timestamp::from_micros(second * 1_000_000 + micros))
}

/// How far a list was synced: one of two instants, so that who compares meets it.
pub(super) fn mark() -> impl Strategy<Value = Timestamp> {
    select(&[BEGINS, BEGINS + 1][..]).prop_map(Timestamp::from_seconds)
}

/// Our clock: it goes forward in the world, and seldom jumps.
pub(super) fn now() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        12 => (0_i64..20, select(&[0, 250_000, 999_999][..])).prop_map(|(second, micros)| {
            Timestamp::from_micros((BEGINS + 10 + second) * 1_000_000 + micros)
        }),
        2 => (1_i64..5).prop_map(|hours| Timestamp::from_seconds(BEGINS + hours * 3_600)),
        1 => at(),
    ]
}

pub(super) fn some_instant() -> impl Strategy<Value = Option<Timestamp>> {
    option::weighted(0.7, at())
}

pub(super) fn span() -> impl Strategy<Value = Duration> {
    select(&[0, 1, 1_500_000_000, 120_000_000_001, 86_400_000_000_000][..])
        .prop_map(Duration::from_nanos)
}

pub(super) fn run() -> impl Strategy<Value = i64> {
    prop_oneof![20 => 1_i64..5, 1 => Just(0), 1 => Just(i64::MAX)]
}

fn price() -> impl Strategy<Value = Price> {
    select(&[0, 1, 380_001, 500_000, 999_999, 1_000_000][..])
        .prop_map(|price| Price::from_e4_cents(price).unwrap())
}

fn quantity() -> impl Strategy<Value = Quantity> {
    prop_oneof![
        12 => select(&[1, 100, 1_261, 200_000][..]),
        1 => Just(999_999_999_999_999_999),
    ]
    .prop_map(|quantity| Quantity::from_e2(quantity).unwrap())
}

fn payload() -> impl Strategy<Value = Box<str>> {
    select(
        &[
            "{}",
            "{\"trade_id\": \"t1\",  \"x\":\"\\u0000é\"}",
            "{\"a\":1e400,\"a\":-0}",
            "\"\\ud800\"",
            "null",
            "[1,\t2]",
        ][..],
    )
    .prop_map(Box::from)
}

pub(super) fn event() -> impl Strategy<Value = RawEvent> {
    event_of(market())
}

fn event_of(market: impl Strategy<Value = Ticker>) -> impl Strategy<Value = RawEvent> {
    let side = select(&[Side::Yes, Side::No][..]);
    let rest = (side, price(), quantity(), at(), option::of(any::<bool>()));
    let style = select(&["", " ", ",\"note\":\"\\u0000é\"", ",\"a\":1e400,\"a\":-0"][..]);
    (select(&IDS[..]), market, rest, style).prop_map(|(id, market, rest, style)| {
        let (side, price, quantity, traded_at, is_block_trade) = rest;
        let trade =
            Trade { trade_id: id.into(), market, side, price, quantity, traded_at, is_block_trade };
        // What is said of a trade makes the trade: no two have the same words.
        let payload = format!("{{\"trade\":{:?}{style}}}", format!("{trade:?}")).into();
        RawEvent { trade, payload }
    })
}

fn rejected() -> impl Strategy<Value = Rejected> {
    let reason = select(&["count_fp is missing", "it is no JSON"][..]);
    let scope = prop_oneof![6 => scope(), 1 => Just(Scope::Tape)];
    (scope, option::of(select(&IDS[..])), payload(), reason).prop_map(
        |(scope, id, payload, reason)| Rejected {
            scope,
            trade_id: id.map(Box::from),
            payload,
            reason: reason.to_owned(),
        },
    )
}

/// Pages that lead to each other, mostly: the newest first, a cursor on all but the last.
pub(super) fn pages(market: Option<Ticker>) -> impl Strategy<Value = Vec<Page>> {
    let event = match market {
        Some(market) => event_of(Just(market)).boxed(),
        None => event().boxed(),
    };
    let heap = (vec(event, 0..6), vec(rejected(), 0..2), prop::bool::weighted(0.1));
    let world = (prop::bool::weighted(0.9), 1_usize..3, prop::bool::weighted(0.2), now());
    (heap, world).prop_map(|((mut events, rejected, is_odd), (is_sorted, count, has_more, now))| {
        if is_sorted {
            events.sort_by_key(|event| std::cmp::Reverse(event.trade.traded_at));
        }
        let length = events.len().div_ceil(count).max(1);
        let cuts: Vec<Vec<RawEvent>> = events.chunks(length).map(<[RawEvent]>::to_vec).collect();
        let cuts = if cuts.is_empty() { vec![Vec::new()] } else { cuts };
        let last = cuts.len() - 1;
        cuts.into_iter()
            .enumerate()
            .map(|(at, events)| Page {
                events,
                rejected: if at == 0 { rejected.clone() } else { Vec::new() },
                foreign: usize::from(is_odd),
                cursor: (at < last || has_more).then(|| format!("c\"{at}\u{e9}'")),
                exchange_now: now,
                our_now: now,
            })
            .collect()
    })
}

pub(super) fn traded() -> impl Strategy<Value = Traded> {
    prop_oneof![
        4 => Just(Traded::Unknown),
        2 => now().prop_map(Traded::Never),
        1 => (1_i64..3_000).prop_map(|quantity_e2| {
            let as_of = Timestamp::from_seconds(BEGINS + quantity_e2 / 10);
            Traded::Ever { quantity_e2, as_of }
        }),
    ]
}

pub(super) fn record() -> impl Strategy<Value = RunRecord> {
    let count = || prop_oneof![12 => 0_u64..9, 1 => Just(u64::MAX)];
    let counts = (0_u64..9, count(), 0_u64..9, 0_u64..9, 0_u64..9, 0_u64..9);
    let retries = vec(select(&RetryReason::ALL[..]), 0..4);
    let ends = (now(), any::<u8>(), 0_usize..4, option::of(words()), any::<bool>());
    let spans = (option::of(span()), option::of(span()), span(), span());
    (ends, spans, counts, retries).prop_map(|(ends, spans, counts, reasons)| {
        let (finished_at, exit_code, markets, error, is_from_exchange) = ends;
        let (ingestion_lag, overlap, overlap_used, tape_span) = spans;
        let (requests, pages, late_trades, events_ingested, events_conflicting, tape_trades) =
            counts;
        let mut retries = Retries::default();
        for reason in reasons {
            retries.add(reason);
        }
        let tally = Tally {
            requests,
            retries,
            pages,
            late_trades,
            events_ingested,
            events_conflicting,
            tape_trades,
            overlap_used,
            tape_span,
            ..Tally::default()
        };
        RunRecord {
            finished_at,
            exit_code,
            markets,
            tally,
            ingestion_lag,
            error,
            overlap,
            is_from_exchange,
        }
    })
}

pub(super) fn sighting() -> impl Strategy<Value = Sighting> {
    let status = prop_oneof![
        12 => select(&["active", "closed", "finalized", "vanished", "initialized"][..])
            .prop_map(Box::<str>::from),
        1 => said(),
    ];
    let labels = (option::of(said()), option::of(said()), terms());
    let names = (market(), event_name(), option::of(series_name()), labels);
    let said_of = (status, option::of(said()), option::of(said()), payload());
    let times = (some_instant(), some_instant(), some_instant(), some_instant(), some_instant());
    let volume =
        option::of(prop_oneof![6 => 0_i64..3_000, 1 => Just(i64::MAX), 1 => Just(i64::MIN)]);
    let figures = (option::of(price()), volume, prop_oneof![6 => now(), 3 => at()]);
    (names, said_of, times, figures).prop_map(|(names, said_of, times, figures)| {
        let (ticker, event, series, (title, yes_label, terms)) = names;
        let (status, result, price_level_structure, payload) = said_of;
        let (open_time, close_time, expected_expiration_time, latest_expiration_time, settled) =
            times;
        let (settlement_value, volume_e2, seen_at) = figures;
        let market = Market {
            ticker,
            event_ticker: event,
            series,
            title,
            yes_label,
            status: Status::parse(&status),
            result,
            open_time,
            close_time,
            expected_expiration_time,
            latest_expiration_time,
            settlement_time: settled,
            settlement_value,
            volume_e2,
            price_level_structure,
            terms,
            payload,
        };
        Sighting { market, seen_at }
    })
}

/// Terms that are often those of another sighting.
fn terms() -> impl Strategy<Value = Terms> {
    let field = select(&["close_time", "rules_primary", "title"][..]);
    let value = prop_oneof![select(&["a", "b"][..]).prop_map(Box::<str>::from), said()];
    btree_map(field, value, 0..3)
}

pub(super) fn absence() -> impl Strategy<Value = Absence> {
    (market(), any::<bool>()).prop_map(|(ticker, is_believed)| Absence { ticker, is_believed })
}

pub(super) fn title() -> impl Strategy<Value = Option<Box<str>>> {
    option::of(said())
}

pub(super) fn book() -> impl Strategy<Value = Snapshot> {
    let level = (price(), quantity()).prop_map(|(price, quantity)| Level { price, quantity });
    let sides = vec(level, 0..8);
    (market(), at(), sides, 0_usize..5, payload()).prop_map(
        |(market, captured_at, mut yes, split, levels)| {
            let no = yes.split_off(split.min(yes.len()));
            Snapshot { market, captured_at, figures: Book::new(yes, no).figures(), levels }
        },
    )
}

pub(super) fn interval() -> impl Strategy<Value = Interval> {
    select(&[Interval::Minute, Interval::Hour][..])
}

pub(super) fn candle() -> impl Strategy<Value = Candle> {
    let ohlc = || {
        (option::of(price()), option::of(price())).prop_map(|(open, close)| {
            // Nobody holds the order of the four.
            Ohlc { open, low: close, high: open, close }
        })
    };
    let figures = (ohlc(), ohlc(), ohlc(), option::of(price()), option::of(0..i64::from(u32::MAX)));
    let figures = figures.prop_map(|(bid, ask, price, mean, open_interest_e2)| {
        Ok(Figures { bid, ask, price, mean, previous: price.open, open_interest_e2 })
    });
    let unreadable = Just(Err(Box::from("odd")));
    let ends = (0_i64..4).prop_map(|minute| Timestamp::from_seconds(BEGINS + minute * 60));
    // Some of them have been over for long enough then.
    let read = (0_i64..20).prop_map(|minute| Timestamp::from_seconds(BEGINS + minute * 60));
    (market(), ends, read, 0_i64..900, prop_oneof![6 => figures, 1 => unreadable]).prop_map(
        |(market, ends_at, read_at, volume_e2, figures)| Candle {
            market,
            ends_at,
            read_at,
            volume_e2,
            figures,
        },
    )
}

pub(super) fn exchange_key() -> impl Strategy<Value = ExchangeKey> {
    let key = |(shard, host): (&str, &str)| ExchangeKey {
        shard: shard.to_owned(),
        host: host.to_owned(),
    };
    (select(&["0/1", "0/2"][..]), select(&["api:443", "API:443"][..])).prop_map(key)
}

pub(super) fn come_back() -> impl Strategy<Value = ComeBack> {
    (some_instant(), some_instant()).prop_map(|(at, probed_at)| ComeBack { at, probed_at })
}

pub(super) fn exchange_record() -> impl Strategy<Value = ExchangeRecord> {
    let figure = || option::of(select(&[0.0, -0.25, 1e-9, 1.0 / 3.0, 1e300][..]));
    let times = (some_instant(), some_instant(), some_instant(), some_instant(), some_instant());
    let figures = (figure(), figure(), figure(), prop_oneof![6 => 0_u32..9, 1 => Just(u32::MAX)]);
    (times, figures, some_instant(), option::of(any::<bool>()), option::of(select(&IDS[..])))
        .prop_map(|(times, figures, status_at, is_trading, newest_id)| {
            let (told_date, told_at, newest_at, cutoff, cutoff_at) = times;
            let (offset_seconds, moved_share, moved_passes, still_passes) = figures;
            ExchangeRecord {
                told_date,
                told_at,
                offset_seconds,
                newest_at,
                newest_id: newest_id.map(str::to_owned),
                moved_share,
                moved_passes,
                still_passes,
                cutoff,
                cutoff_at,
                status_at,
                is_trading,
                come_back: ComeBack::default(),
                account: AccountRecord::default(),
            }
        })
}

pub(super) fn account() -> impl Strategy<Value = AccountRecord> {
    let times = (some_instant(), some_instant(), some_instant());
    let names = (option::of(select(&IDS[..])), option::of(select(&IDS[..])));
    let rate = option::of(select(&[0.0, 20.0, 1.0 / 3.0, 1e300][..]));
    (times, names, rate).prop_map(|((asked_at, told_at, expires_at), (key, tier), rate)| {
        let (key_digest, tier) = (key.map(str::to_owned), tier.map(str::to_owned));
        AccountRecord { key_digest, asked_at, told_at, tier, rate, expires_at }
    })
}
