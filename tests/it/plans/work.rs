//! The calls of the commands, each with a given number of rows, whatever the tables hold.

use std::time::Duration;

use kalshi_ingest::domain::account_limits::AccountRecord;
use kalshi_ingest::domain::batch::{Batch, Committed};
use kalshi_ingest::domain::book::{Book, Snapshot};
use kalshi_ingest::domain::candle::{Candle, Figures, Interval};
use kalshi_ingest::domain::checkpoint::{Claim, Correction};
use kalshi_ingest::domain::completeness::{Basis, Score};
use kalshi_ingest::domain::exchange_record::{ComeBack, ExchangeRecord};
use kalshi_ingest::domain::export::{Content, Span, Table};
use kalshi_ingest::domain::market::{
    Absence, EventRecord, FalseMark, Market, MarketScope, Sighting, Status, WatchChange,
};
use kalshi_ingest::domain::page::{Page, Rules};
use kalshi_ingest::domain::scope::Scope;
use kalshi_ingest::domain::selection::{Target, Watch};
use kalshi_ingest::domain::slice::{Slice, SliceKey};
use kalshi_ingest::domain::slice_walk::{SliceKnown, SliceWalk};
use kalshi_ingest::domain::tally::{Retries, RetryReason, Tally};
use kalshi_ingest::domain::ticker::Ticker;
use kalshi_ingest::domain::tier::Tier;
use kalshi_ingest::domain::trade::{Price, Quantity, RawEvent, Rejected, Side, Trade};
use kalshi_ingest::store::{
    ExchangeKey, ReplayCursor, Replayed, Reported, RunRecord, Snapshot as Exported, Store,
};

use super::fill::{NOW, TRADE_SECONDS, TRADES_PER_MARKET, ago, market, now, trade_id};
use super::observed::OTHER_TABLE;

/// Some calls, and a name for them.
pub(super) type Step = (&'static str, fn(&mut dyn Store, i64));

const RUN: i64 = 1;
/// Beyond the numbers of what is on record.
const NEW: i64 = 500_000;
const SERIES: &str = "KXT";
const EVENT: &str = "KXT-4";

/// All calls of a pass, of the other commands and of the server.
pub(super) const STEPS: [Step; 25] = [
    ("open", open),
    ("runs", runs),
    ("new trades", |store, count| commit_trades(store, NEW, count, 5)),
    ("known trades", |store, count| {
        commit_trades(store, 0, count, 0);
        commit_trades(store, 0, count, 0);
    }),
    ("contradicted trades", contradict),
    ("a copy", |store, _| commit_trades(store, NEW + 1_000, 2_500, 0)),
    ("checkpoints", |store, count| commit_checkpoints(store, 0, count)),
    ("new checkpoints", |store, count| commit_checkpoints(store, NEW, count)),
    ("report", report),
    ("report of everything", |store, _| drop(store.report(Reported::All, now()).unwrap())),
    ("overview", |store, _| drop(store.overview(now()).unwrap())),
    ("the newest trade", |store, _| assert!(store.newest_trade(now()).unwrap().is_some())),
    ("watches", watches),
    ("refusals", refusals),
    ("markets", |store, count| save_markets(store, NEW, count)),
    ("known markets", |store, count| save_markets(store, 0, count)),
    ("questions about markets", ask_markets),
    ("lifespans", lifespans),
    ("books and scores", measure),
    ("slices", |store, count| slices(store, count)),
    ("replay", replay),
    ("prune", prune),
    ("recount", recount),
    ("exchange records", exchange),
    ("export", export),
];

fn open(store: &mut dyn Store, _: i64) {
    assert!(store.has_schema().unwrap());
    store.check_schema().unwrap();
    assert!(store.try_lock("run").unwrap().is_some());
}

fn runs(store: &mut dyn Store, _: i64) {
    let run = store.begin_run("run", now()).unwrap();
    let mut retries = Retries::default();
    retries.add(RetryReason::NoAnswer);
    let tally = Tally { requests: 3, retries, ..Tally::default() };
    let record = RunRecord {
        finished_at: now(),
        exit_code: 0,
        markets: 3,
        tally,
        ingestion_lag: None,
        error: None,
        overlap: None,
        is_from_exchange: true,
    };
    store.finish_run(run, &record).unwrap();
    assert!(store.tape_rate().unwrap().is_some());
}

pub(super) fn trade(number: i64, market: Ticker, price_e4: i64) -> Trade {
    Trade {
        trade_id: trade_id(number).into(),
        market,
        side: Side::Yes,
        price: Price::from_e4_cents(price_e4).unwrap(),
        quantity: Quantity::from_e2(100).unwrap(),
        traded_at: if number < NEW { ago(number * TRADE_SECONDS) } else { now() },
        is_block_trade: Some(false),
    }
}

fn event(number: i64, price_e4: i64) -> RawEvent {
    let of = if number < NEW { number / TRADES_PER_MARKET } else { number % 20 };
    let trade = trade(number, market(of), price_e4);
    RawEvent { trade, payload: format!("{{\"number\": {number}, \"price\": {price_e4}}}").into() }
}

fn page(events: Vec<RawEvent>, rejected: Vec<Rejected>) -> Page {
    let cursor = Some("more".to_owned());
    Page { events, rejected, foreign: 0, cursor, exchange_now: now(), our_now: now() }
}

/// Commits trades as a backfill of everything reads them.
fn commit(store: &mut dyn Store, page: Page) -> kalshi_ingest::domain::batch::Receipt {
    let from = ago(400 * 86_400);
    let until = kalshi_ingest::domain::time::Timestamp::from_seconds(NOW + 1);
    let slice = Slice::new(SliceKey::new(Scope::Tape, Tier::Live, from, until).unwrap());
    let known = SliceKnown { is_vouched: true, ..SliceKnown::default() };
    let mut batch = Batch::default();
    batch.push(SliceWalk::new(&slice, None, known, Rules::EXACT).page(page));
    store.commit(RUN, &batch.seal(&Committed::of_slices([slice]), RUN, now())).unwrap()
}

pub(super) fn commit_trades(store: &mut dyn Store, first: i64, count: i64, rejected: i64) {
    let events: Vec<RawEvent> =
        (first..first + count).map(|number| event(number, 500_000)).collect();
    let refused = (0..rejected).map(|number| Rejected {
        scope: market(number).into(),
        trade_id: None,
        payload: format!("{{\"odd\": {number}}}").into(),
        reason: "count_fp is missing".to_owned(),
    });
    let receipt = commit(store, page(events, refused.collect()));
    let new = if first >= NEW { count } else { 0 };
    assert_eq!(i64::try_from(receipt.inserted.len()), Ok(new));
}

/// Commits new trades, each of a market of its own.
pub(super) fn commit_scattered(store: &mut dyn Store, first: i64, count: i64) {
    let event = |number| {
        let trade = trade(number, market(number), 500_000);
        RawEvent { trade, payload: format!("{{\"number\": {number}}}").into() }
    };
    let receipt = commit(store, page((first..first + count).map(event).collect(), Vec::new()));
    assert_eq!(i64::try_from(receipt.inserted.len()), Ok(count));
}

/// Trades with another price than the stored one, and many that are known: they are looked for before they are stored.
fn contradict(store: &mut dyn Store, count: i64) {
    commit_trades(store, NEW + 500, 1, 0);
    let price = |number| if number < count { 400_000 } else { 500_000 };
    let events = (0..2_500).map(|number| event(number, price(number))).collect();
    let receipt = commit(store, page(events, Vec::new()));
    assert_eq!(i64::try_from(receipt.conflicting.len()), Ok(count));
}

fn markets(first: i64, count: i64) -> Vec<Ticker> {
    (first..first + count).map(market).collect()
}

fn scopes(first: i64, count: i64) -> Vec<Scope> {
    markets(first, count).into_iter().map(Scope::Market).collect()
}

/// A pass over markets that have nothing new, of which one had a false claim.
pub(super) fn commit_checkpoints(store: &mut dyn Store, first: i64, count: i64) {
    let scopes = scopes(first, count);
    let known = store.checkpoints(&scopes, now()).unwrap();
    assert_eq!(store.checkpoints_on_record(&scopes).unwrap().len(), scopes.len());
    let mut batch = Batch::default();
    for scope in &scopes {
        batch.check(scope.clone(), now());
    }
    let correction = Correction {
        claim: Claim::CheckedUntil,
        claimed: now(),
        proven: None,
        reason: "it was not so",
    };
    batch.correct(scopes[0].clone(), correction);
    let commit = batch.seal(&Committed::new(known), RUN, now());
    assert_eq!(commit.checkpoints().len(), scopes.len());
    assert!(store.commit(RUN, &commit).unwrap().overtaken.is_empty());
}

fn report(store: &mut dyn Store, _: i64) {
    let two = [market(1).into(), market(60).into()];
    assert_eq!(store.report(Reported::Only(&two), now()).unwrap().len(), 2);
    assert!(store.report(Reported::ActiveAnd(&two), now()).unwrap().len() > 2);
}

/// Reports on these markets.
pub(super) fn report_of(store: &mut dyn Store, markets: &[Ticker]) {
    let scopes: Vec<Scope> = markets.iter().cloned().map(Scope::Market).collect();
    store.checkpoints(&scopes, now()).unwrap();
    assert_eq!(store.report(Reported::Only(&scopes), now()).unwrap().len(), scopes.len());
}

pub(super) fn names(kind: &str, first: i64, count: i64) -> Vec<String> {
    markets(first, count).into_iter().map(|market| format!("{kind}:{market}")).collect()
}

pub(super) fn watches(store: &mut dyn Store, count: i64) {
    let names = names("market", NEW, count);
    assert_eq!(store.watches(&names, now()).unwrap().len(), names.len());
    assert_eq!(store.watches_on_record(&names).unwrap().len(), names.len());
    let change = |watch: &String| WatchChange {
        watch: watch.clone(),
        resolved_at: Some(now()),
        synced: Some((now(), Some(now()))),
        joined: vec![market(NEW)],
        ..WatchChange::default()
    };
    let mut changes: Vec<WatchChange> = names.iter().map(change).collect();
    changes[0].joined = markets(NEW, count);
    store.save_watches(&changes).unwrap();
    for change in &mut changes {
        change.left = std::mem::take(&mut change.joined);
    }
    store.save_watches(&changes).unwrap();
    let mark = FalseMark { watch: names[0].clone(), claimed: now(), reason: "it was not so" };
    assert!(store.lower_mark(&mark, RUN, now()).unwrap());
    let watch =
        |market: Ticker| Watch { target: Target::Market(market), sla: Duration::from_secs(120) };
    let selected: Vec<Watch> = markets(NEW, count).into_iter().map(watch).collect();
    store.note_selection(&selected, now()).unwrap();
}

pub(super) fn refusals(store: &mut dyn Store, count: i64) {
    let names = names("market", NEW + 10_000, count);
    store.watches(&names, now()).unwrap();
    store.checkpoints(&scopes(NEW + 10_000, count), now()).unwrap();
    store.save_refusals(&names, &[], now()).unwrap();
    assert_eq!(store.refusals(&names).unwrap().len(), names.len());
    assert!(store.watches_on_record(&names).unwrap().is_empty(), "they are no entries any more");
    store.save_refusals(&[], &names, now()).unwrap();
    let (event, series) = (Ticker::new(EVENT).unwrap(), Ticker::new(SERIES).unwrap());
    let none = Ticker::new("NONE").unwrap();
    for target in [Target::Market(market(60)), Target::Event(event), Target::Series(series)] {
        assert!(store.is_on_record(&target).unwrap() || count > 100, "{target:?}");
    }
    for target in [Target::Market(none.clone()), Target::Event(none.clone()), Target::Series(none)]
    {
        assert!(!store.is_on_record(&target).unwrap(), "{target:?}");
    }
}

pub(super) fn save_markets(store: &mut dyn Store, first: i64, count: i64) {
    let sighting = |ticker: &Ticker, seen_at| Sighting {
        market: Market {
            ticker: ticker.clone(),
            event_ticker: ticker.as_str().rsplit_once('-').unwrap().0.into(),
            series: None,
            title: Some("A market".into()),
            yes_label: None,
            status: Status::parse("closed"),
            result: None,
            open_time: Some(ago(3_600)),
            close_time: None,
            expected_expiration_time: None,
            latest_expiration_time: None,
            settlement_time: None,
            settlement_value: None,
            volume_e2: Some(3_000),
            price_level_structure: None,
            terms: [("close_time", "a time".into())].into(),
            payload: "{}".into(),
        },
        seen_at,
    };
    let tickers = markets(first, count);
    let seen: Vec<Sighting> = tickers.iter().map(|ticker| sighting(ticker, now())).collect();
    assert!(store.save_markets(&seen, &[], now()).unwrap() > 0);
    // Older answers store nothing, and every second market is absent.
    let older: Vec<Sighting> = tickers.iter().map(|ticker| sighting(ticker, ago(60))).collect();
    let absent: Vec<Absence> = tickers
        .iter()
        .step_by(2)
        .map(|ticker| Absence { ticker: ticker.clone(), is_believed: true })
        .collect();
    assert!(store.save_markets(&older, &absent, now()).unwrap() > 0);
    let mut events: Vec<Box<str>> = seen.iter().map(|s| s.market.event_ticker.clone()).collect();
    events.dedup();
    let event = |event: &str| EventRecord {
        event_ticker: event.into(),
        series: SERIES.into(),
        title: None,
    };
    store.save_events(&events.iter().map(|name| event(name)).collect::<Vec<_>>(), now()).unwrap();
    assert_eq!(store.series_of_events(&events).unwrap().len(), events.len());
    assert_eq!(store.known_markets(&tickers).unwrap().len(), tickers.len());
}

fn ask_markets(store: &mut dyn Store, count: i64) {
    let scopes = [MarketScope::Series(SERIES), MarketScope::Event(EVENT)];
    for scope in scopes {
        let lately = ago(86_400);
        let count = usize::try_from(count).unwrap();
        assert!(!store.over_markets(scope, lately, count).unwrap().is_empty(), "{scope:?}");
    }
    for scope in [MarketScope::All, scopes[0], MarketScope::Event("KXT-1")] {
        assert!(!store.unsettled_markets(scope).unwrap().is_empty(), "{scope:?}");
    }
    store.events_without_series().unwrap();
}

fn lifespans(store: &mut dyn Store, count: i64) {
    let these = markets(0, count);
    let (from, until) = (ago(3_600), now());
    let named = store.lifespans(MarketScope::All, Some(&these), ago(86_400), until).unwrap();
    assert!(!named.is_empty());
    assert!(
        !store.lifespans(MarketScope::Event(EVENT), None, ago(86_400), until).unwrap().is_empty()
    );
    store.lifespans(MarketScope::Series(SERIES), None, from, until).unwrap();
}

pub(super) fn measure(store: &mut dyn Store, count: i64) {
    let these = markets(1, count);
    let few = &these[..3.min(these.len())];
    store.stored_lifetime(few, None).unwrap();
    store.stored_lifetime(few, Some(now())).unwrap();
    store.stored_by_hour(few, ago(3_600), now()).unwrap();
    let scored = |market: &Ticker| Score::of_sums(market.clone(), 1, 2, Basis::Lifetime);
    store.save_scores(&these.iter().map(scored).collect::<Vec<_>>(), now()).unwrap();
    let book = |market: &Ticker| Snapshot {
        market: market.clone(),
        captured_at: now(),
        figures: Book::new(Vec::new(), Vec::new()).figures(),
        levels: "{}".into(),
    };
    store.save_books(&these.iter().map(book).collect::<Vec<_>>()).unwrap();
    let candle = |market: &Ticker| Candle {
        market: market.clone(),
        ends_at: ago(7_200),
        read_at: now(),
        volume_e2: 100,
        figures: Ok(Figures::default()),
    };
    let candles: Vec<Candle> = these.iter().map(candle).collect();
    store.save_candles(Interval::Hour, &candles).unwrap();
    assert_eq!(store.stored_candles(Interval::Hour, &these).unwrap().len(), these.len());
}

pub(super) fn slices(store: &mut dyn Store, count: i64) {
    let of = |scope: &Scope, hour: i64| {
        let from = ago((hour + 1) * 3_600);
        Slice::new(SliceKey::new(scope.clone(), Tier::Live, from, ago(hour * 3_600)).unwrap())
    };
    let scopes = scopes(NEW, count);
    let new: Vec<Slice> = scopes.iter().map(|scope| of(scope, 0)).collect();
    store.add_slices(&new, false, now()).unwrap();
    store.add_slices(&new, true, now()).unwrap();
    let found = store.slices(&scopes, ago(3_600), now()).unwrap();
    assert_eq!(found.len(), new.len());
    let mut batch = Batch::default();
    for slice in &found {
        batch.break_off(slice.key.clone());
    }
    let commit = batch.seal(&Committed::of_slices(found), RUN, now());
    assert_eq!(commit.slices().len(), new.len());
    store.commit(RUN, &commit).unwrap();
    let read = Slice { status: kalshi_ingest::domain::slice::SliceStatus::Read, ..new[0].clone() };
    store.add_slices(&[read], true, now()).unwrap();
    let keys: Vec<SliceKey> = new.iter().map(|slice| slice.key.clone()).collect();
    let gaps: Vec<Slice> = scopes.iter().map(|scope| of(scope, 5)).collect();
    store.complete_slices(&keys, &gaps, now()).unwrap();
}

fn replay(store: &mut dyn Store, count: i64) {
    store.make_trades_table(OTHER_TABLE).unwrap();
    let mut cursor = store.replay_cursor(OTHER_TABLE, None, None).unwrap();
    let page = u32::try_from(count).unwrap();
    let found = store.raw_events(&cursor, page).unwrap();
    cursor.after_event = found.last().unwrap().event_id;
    let replayed = |number| Replayed {
        run_id: RUN,
        received_at: now(),
        trade: trade(number, market(number % 20), 500_000),
    };
    let trades: Vec<Replayed> = (0..count).map(replayed).collect();
    assert_eq!(i64::try_from(store.replay(&cursor, &trades, now()).unwrap()), Ok(count));
    store.finish_replay(&cursor).unwrap();
    store.compare_trades(OTHER_TABLE, 10).unwrap();
    let place = ReplayCursor { from: Some(ago(3_600)), until: Some(now()), ..cursor };
    store.raw_events(&ReplayCursor { after_event: 0, ..place }, page).unwrap();
}

fn prune(store: &mut dyn Store, count: i64) {
    let count = u32::try_from(count).unwrap();
    let old = ago(1_000 * TRADE_SECONDS);
    assert!(store.prunable(old).unwrap().0 > 0);
    assert_eq!(store.prune(old, 0, count).unwrap().deleted, u64::from(count));
    let none = store.prune(ago(400 * 86_400), 0, count).unwrap();
    assert_eq!((none.found, none.last), (0, None), "nothing is as old");
}

fn recount(store: &mut dyn Store, _: i64) {
    assert!(!store.counted_markets().unwrap().is_empty());
    assert_eq!(store.recount(&markets(5, 1)).unwrap(), 0);
}

fn exchange(store: &mut dyn Store, _: i64) {
    let key = ExchangeKey { shard: "0/1".to_owned(), host: "api:443".to_owned() };
    assert!(store.exchange_record(&key).unwrap().is_some());
    store.save_exchange_record(&key, &ExchangeRecord::default(), now()).unwrap();
    store.save_come_back(&key, ComeBack::default(), now()).unwrap();
    store.save_account(&key, &AccountRecord::default(), now()).unwrap();
}

/// An export of a few markets, which have as many rows in a big table as in a small one.
fn export(store: &mut dyn Store, _: i64) {
    let these: Vec<Box<str>> = markets(1, 3).iter().map(|market| market.as_str().into()).collect();
    let scopes = scopes(1, 3);
    let span = Span { from: ago(86_400), until: now() };
    let mut work = |snapshot: &mut dyn Exported| {
        assert_eq!(snapshot.members(&Target::Market(market(1)))?.len(), 1);
        snapshot.lowered(&scopes)?;
        snapshot.scores(&these)?;
        for table in [Table::Trades, Table::Markets, Table::Orderbooks, Table::RawEvents] {
            let counts = snapshot.counts(table, &these, span)?;
            let content = counts.iter().fold(Content::default(), |all, c| all.and(c.content));
            let mut rows = 0;
            snapshot.rows(table, &these, span, content, &mut |_| {
                rows += 1;
                Ok(())
            })?;
            assert_eq!(rows, content.rows, "{table:?}");
        }
        Ok(())
    };
    store.export(&mut work).unwrap();
}
