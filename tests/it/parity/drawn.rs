//! Operations drawn from the small world.

use std::time::Duration;

use kalshi_ingest::domain::candle::{Candle, Figures, Interval};
use kalshi_ingest::domain::checkpoint::{Claim, Correction, Retirement};
use kalshi_ingest::domain::completeness::{Basis, Score};
use kalshi_ingest::domain::evidence::Anchor;
use kalshi_ingest::domain::export::Table;
use kalshi_ingest::domain::market::{EventRecord, FalseMark, WatchChange};
use kalshi_ingest::domain::scope::{GroupId, Scope};
use kalshi_ingest::domain::slice::{Slice, SliceKey, SliceStatus};
use kalshi_ingest::domain::tier::Tier;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::store::{Replayed, TRADES_TABLE};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::made::{
    self, BEGINS, absence, account, at, book, candle, come_back, distinct, distinct_scopes, event,
    event_name, exchange_key, exchange_record, interval, market, markets, name, now, pages, record,
    run, scope, scopes, series_name, sighting, some_instant, span, target, ticker, title, traded,
    watch, words,
};
use super::operations::{
    Believed, Catalogue, Exchanges, History, Mark, Of, Operation, Oversight, SliceWalked, Spot,
    Store, Walked, Whose, Work,
};

/// Tables of trades besides the usual one, and what is none.
const TABLES: [&str; 2] = ["trades_new", "trades_other"];
const TARGETS: [&str; 6] =
    [TRADES_TABLE, TABLES[0], TABLES[0], TABLES[1], "ingestion_runs", "Bad Name"];

/// A sequence of calls: what writes rows comes often, so that the rest finds something.
pub(super) fn operations(length: usize) -> impl Strategy<Value = Vec<Operation>> {
    let begun = beginning();
    let count = begun.len();
    (subsequence(begun, 0..=count), vec(operation(), 1..length))
        .prop_map(|(begun, rest)| begun.into_iter().chain(rest).collect())
}

/// What a database in use has: runs, watches with members and marks, a table beside the usual one.
fn beginning() -> Vec<Operation> {
    let now = Timestamp::from_seconds(BEGINS);
    let names: Vec<String> = ["market:A", "event:EV", "series:KX", "all"].map(str::to_owned).into();
    let change = |watch: &String| WatchChange {
        watch: watch.clone(),
        synced: Some((now, Some(now))),
        joined: Vec::from([ticker("A"), ticker("a")]),
        ..WatchChange::default()
    };
    let changes = names.iter().map(change).collect();
    let candle = |market: &str| Candle {
        market: ticker(market),
        ends_at: now,
        read_at: now.after(Duration::from_secs(600)),
        volume_e2: 1,
        figures: Ok(Figures::default()),
    };
    let candles = Vec::from(["A", "a"].map(candle));
    let run = || Operation::Store(Store::BeginRun { command: "run".to_owned(), now });
    Vec::from([
        run(),
        run(),
        Operation::Catalogue(Catalogue::Watches { names, now }),
        Operation::Catalogue(Catalogue::SaveWatches { changes }),
        Operation::Catalogue(Catalogue::SaveCandles { interval: Interval::Hour, candles }),
        Operation::History(History::MakeTradesTable { name: TABLES[0].to_owned() }),
    ])
}

pub(super) fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        12 => commit().prop_map(Operation::Store),
        8 => store().prop_map(Operation::Store),
        8 => writes_of_catalogue().prop_map(Operation::Catalogue),
        14 => reads_of_catalogue().prop_map(Operation::Catalogue),
        3 => exchanges().prop_map(Operation::Exchanges),
        10 => history().prop_map(Operation::History),
        5 => oversight().prop_map(Operation::Oversight),
        1 => Just(Operation::Release),
        4 => market().prop_map(|market| Operation::Delete { market }),
    ]
}

fn store() -> impl Strategy<Value = Store> {
    let command = select(&["run", "backfill", "replay", "it's"][..]);
    let lock = select(&["run", "backfill-0-of-2"][..]);
    prop_oneof![
        1 => now().prop_map(|now| Store::Migrate { now }),
        1 => Just(Store::CheckSchema),
        1 => Just(Store::HasSchema),
        1 => Just(Store::MakeViews),
        1 => Just(Store::Reconnect),
        6 => (command, now()).prop_map(|(command, now)| Store::BeginRun { command: command.to_owned(), now }),
        5 => (run(), record()).prop_map(|(run, record)| Store::FinishRun { run, record }),
        2 => lock.prop_map(|name| Store::TryLock { name: name.to_owned() }),
        2 => (distinct_scopes(), now()).prop_map(|(scopes, now)| Store::Checkpoints { scopes, now }),
        3 => now().prop_map(|now| Store::Report { now }),
    ]
}

fn commit() -> impl Strategy<Value = Store> {
    let believed = prop_oneof![5 => Just(Believed::Now), 1 => Just(Believed::Before)];
    let work = prop_oneof![
        3 => (vec(walked(), 0..3), vec(mark(), 0..2))
            .prop_map(|(walks, marks)| Work::Pass { walks, marks }),
        1 => (vec(slice_walked(), 0..3), vec(slice_key(), 0..2))
            .prop_map(|(slices, broken)| Work::Backfill { slices, broken }),
    ];
    (run(), now(), believed, work).prop_map(|(run, now, believed, work)| Store::Commit {
        run,
        now,
        believed,
        work,
    })
}

fn walked() -> impl Strategy<Value = Walked> {
    let of_market =
        market().prop_flat_map(|market| (Just(Whose::Market(market.clone())), pages(Some(market))));
    let of_tape = (any::<bool>(), distinct(vec(market(), 0..3)))
        .prop_map(|(keeps_all, riders)| Whose::Tape { keeps_all, riders });
    let read = prop_oneof![3 => of_market, 1 => (of_tape, pages(None))];
    (read, traded(), any::<bool>()).prop_map(|((whose, pages), traded, is_confirmed)| Walked {
        whose,
        pages,
        traded,
        is_confirmed,
    })
}

fn slice_walked() -> impl Strategy<Value = SliceWalked> {
    let read = slice_key().prop_flat_map(|key| {
        let market = key.scope().market().cloned();
        (Just(key), pages(market))
    });
    (read, traded(), any::<bool>()).prop_map(|((key, pages), traded, is_confirmed)| SliceWalked {
        key,
        pages,
        traded,
        is_confirmed,
    })
}

fn mark() -> impl Strategy<Value = Mark> {
    let claim = prop_oneof![
        Just(Claim::CompleteUntil),
        Just(Claim::CompleteFrom),
        Just(Claim::CheckedUntil),
        option::of(at())
            .prop_map(|at| Claim::Anchor(at.map(|at| Anchor { at, id: Some("t1".into()) }))),
    ];
    let reason = select(&["busted", "it's \"later\" than both clocks"][..]);
    let correction = (claim, at(), some_instant(), reason)
        .prop_map(|(claim, claimed, proven, reason)| Correction { claim, claimed, proven, reason });
    let retirement = select(&[Retirement::Retire, Retirement::Reopen][..]);
    prop_oneof![
        (scope(), words()).prop_map(|(scope, error)| Mark::Fail(scope, error)),
        (scope(), retirement).prop_map(|(scope, retirement)| Mark::Retire(scope, retirement)),
        (scope(), at()).prop_map(|(scope, until)| Mark::Check(scope, until)),
        (scope(), correction).prop_map(|(scope, correction)| Mark::Correct(scope, correction)),
        (scope(), span()).prop_map(|(scope, span)| Mark::Leave(scope, span)),
    ]
}

fn writes_of_catalogue() -> impl Strategy<Value = Catalogue> {
    let mark = (name(), made::mark(), select(&["ahead of both clocks"][..]))
        .prop_map(|(watch, claimed, reason)| FalseMark { watch, claimed, reason });
    let seen = vec(sighting(), 0..4).prop_map(|mut seen| {
        seen.sort_by(|a, b| a.market.ticker.cmp(&b.market.ticker));
        seen.dedup_by(|a, b| a.market.ticker == b.market.ticker);
        seen
    });
    let event = (event_name(), series_name(), title())
        .prop_map(|(event, series, title)| EventRecord { event_ticker: event, series, title });
    let events = vec(event, 0..3).prop_map(|mut events| {
        events.sort_by(|a, b| a.event_ticker.cmp(&b.event_ticker));
        events.dedup_by(|a, b| a.event_ticker == b.event_ticker);
        events
    });
    let names = || distinct(vec(name(), 0..5));
    prop_oneof![
        8 => (names(), now()).prop_map(|(names, now)| Catalogue::Watches { names, now }),
        5 => watch_changes().prop_map(|changes| Catalogue::SaveWatches { changes }),
        4 => (mark, run(), now()).prop_map(|(mark, run, now)| Catalogue::LowerMark { mark, run, now }),
        4 => (names(), distinct(vec(name(), 0..2)), now())
            .prop_map(|(refused, lifted, now)| Catalogue::SaveRefusals { refused, lifted, now }),
        6 => (seen, vec(absence(), 0..3), now())
            .prop_map(|(seen, absent, now)| Catalogue::SaveMarkets { seen, absent, now }),
        3 => (events, now()).prop_map(|(events, now)| Catalogue::SaveEvents { events, now }),
        3 => vec(book(), 0..3).prop_map(|books| Catalogue::SaveBooks { books }),
        3 => (interval(), vec(candle(), 0..6))
            .prop_map(|(interval, candles)| Catalogue::SaveCandles { interval, candles }),
    ]
}

/// Each entry at most once.
fn watch_changes() -> impl Strategy<Value = Vec<WatchChange>> {
    vec(watch_change(), 0..4).prop_map(|mut changes| {
        changes.sort_by(|a, b| a.watch.cmp(&b.watch));
        changes.dedup_by(|a, b| a.watch == b.watch);
        changes
    })
}

fn watch_change() -> impl Strategy<Value = WatchChange> {
    let synced = option::of((at(), option::of(made::mark())));
    let times = (some_instant(), synced, some_instant(), some_instant());
    (name(), times, markets(), markets()).prop_map(|(watch, times, joined, left)| {
        let (resolved_at, synced, known_at, empty_at) = times;
        WatchChange { watch, resolved_at, synced, known_at, empty_at, joined, left }
    })
}

fn reads_of_catalogue() -> impl Strategy<Value = Catalogue> {
    let names = || vec(name(), 0..6);
    prop_oneof![
        1 => names().prop_map(|names| Catalogue::WatchesOnRecord { names }),
        1 => at().prop_map(|until| Catalogue::NewestTrade { until }),
        3 => names().prop_map(|names| Catalogue::Refusals { names }),
        1 => target().prop_map(|target| Catalogue::IsOnRecord { target }),
        1 => scopes().prop_map(|scopes| Catalogue::CheckpointsOnRecord { scopes }),
        // Few markets are over or have times: what asks for those seldom finds one.
        6 => (of(), at(), 0_usize..4).prop_map(|(of, ended_after, count_max)| Catalogue::OverMarkets {
            of,
            ended_after,
            count_max
        }),
        4 => vec(event_name(), 0..3).prop_map(|events| Catalogue::SeriesOfEvents { events }),
        1 => markets().prop_map(|tickers| Catalogue::KnownMarkets { tickers }),
        1 => of().prop_map(|of| Catalogue::UnsettledMarkets { of }),
        3 => (of(), option::of(markets()), at(), at())
            .prop_map(|(of, only, from, until)| Catalogue::Lifespans { of, only, from, until }),
        1 => Just(Catalogue::EventsWithoutSeries),
        1 => Just(Catalogue::TapeRate),
        1 => (interval(), markets())
            .prop_map(|(interval, markets)| Catalogue::StoredCandles { interval, markets }),
    ]
}

fn of() -> impl Strategy<Value = Of> {
    prop_oneof![
        Just(Of::All),
        series_name().prop_map(|name| Of::Series(name.into())),
        event_name().prop_map(|name| Of::Event(name.into())),
    ]
}

fn exchanges() -> impl Strategy<Value = Exchanges> {
    prop_oneof![
        exchange_key().prop_map(|key| Exchanges::ExchangeRecord { key }),
        (exchange_key(), exchange_record(), now()).prop_map(|(key, record, now)| {
            Exchanges::SaveExchangeRecord { key, record: Box::new(record), now }
        }),
        (exchange_key(), come_back(), now())
            .prop_map(|(key, come_back, now)| Exchanges::SaveComeBack { key, come_back, now }),
        (exchange_key(), account(), now()).prop_map(|(key, account, now)| Exchanges::SaveAccount {
            key,
            account,
            now
        }),
    ]
}

fn slice_key() -> impl Strategy<Value = SliceKey> {
    let group = Scope::Group(GroupId::of(&[ticker("A"), ticker("B")]));
    let whose = prop_oneof![3 => scope(), 1 => Just(Scope::Tape), 1 => Just(group)];
    let tier = select(&[Tier::Live, Tier::Archive][..]);
    let edges = select(&[(-6, 0), (-6, 6), (0, 6), (-3_600, 0)][..]);
    (whose, tier, edges).prop_map(|(whose, tier, (from, until))| {
        let at = |second| Timestamp::from_seconds(BEGINS + second);
        SliceKey::new(whose, tier, at(from), at(until)).unwrap()
    })
}

/// Each key at most once.
fn slices() -> impl Strategy<Value = Vec<Slice>> {
    let status = select(
        &[SliceStatus::Open, SliceStatus::Open, SliceStatus::Read, SliceStatus::Complete][..],
    );
    let slice = (slice_key(), status, option::of(words()), some_instant(), 0_i64..3).prop_map(
        |(key, status, cursor, low, version)| Slice { key, status, cursor, low, version },
    );
    vec(slice, 0..4).prop_map(|mut slices| {
        slices.sort_by(|a, b| a.key.cmp(&b.key));
        slices.dedup_by(|a, b| a.key == b.key);
        slices
    })
}

/// What leads to scores that are numbers: nothing missing is more than what was traded.
fn score() -> impl Strategy<Value = Score> {
    let basis = select(&[Basis::Lifetime, Basis::Candles][..]);
    let figures = (0_i64..3_000, 0_i64..3_000, 0_i64..100);
    (market(), some_instant(), some_instant(), figures, basis).prop_map(
        |(market, from, until, (stored_e2, exchange_e2, missing), basis)| Score {
            from,
            until,
            missing_e2: missing.min(exchange_e2),
            ..Score::of_sums(market, stored_e2, exchange_e2, basis)
        },
    )
}

/// Each market at most once.
fn scores() -> impl Strategy<Value = Vec<Score>> {
    vec(score(), 0..3).prop_map(|mut scores| {
        scores.sort_by(|a, b| a.market.cmp(&b.market));
        scores.dedup_by(|a, b| a.market == b.market);
        scores
    })
}

fn spot() -> impl Strategy<Value = Spot> {
    let bound = || option::weighted(0.3, now());
    (select(&TARGETS[..]), bound(), bound(), 0_usize..6).prop_map(|(target, from, until, done)| {
        Spot { target: target.to_owned(), from, until, events_done: done }
    })
}

fn history() -> impl Strategy<Value = History> {
    let hours = || (-2_i64..3).prop_map(|hour| Timestamp::from_seconds(BEGINS + 3_600 * hour));
    let replayed = (run(), now(), event()).prop_map(|(run_id, received_at, event)| Replayed {
        run_id,
        received_at,
        trade: event.trade,
    });
    let table = || select(&TARGETS[..]).prop_map(str::to_owned);
    let bound = || option::weighted(0.3, now());
    prop_oneof![
        6 => (scopes(), at(), at()).prop_map(|(scopes, from, until)| History::Slices { scopes, from, until }),
        4 => (slices(), any::<bool>(), now())
            .prop_map(|(slices, reset, now)| History::AddSlices { slices, reset, now }),
        2 => (distinct(vec(slice_key(), 0..3)), slices(), now())
            .prop_map(|(complete, strips, now)| History::CompleteSlices { complete, strips, now }),
        1 => markets().prop_map(|markets| {
            // Of an even number of them up to an instant at which some trades are made.
            let is_bounded = markets.len() % 2 == 0;
            let until = is_bounded.then_some(Timestamp::from_seconds(BEGINS));
            History::StoredLifetime { markets, until }
        }),
        4 => (markets(), hours(), hours())
            .prop_map(|(markets, from, until)| History::StoredByHour { markets, from, until }),
        2 => (scores(), now()).prop_map(|(scores, now)| History::SaveScores { scores, now }),
        2 => (spot(), 0_u32..4).prop_map(|(place, count)| History::RawEvents { place, count }),
        2 => (table(), bound(), bound())
            .prop_map(|(target, from, until)| History::ReplayCursor { target, from, until }),
        2 => table().prop_map(|name| History::MakeTradesTable { name }),
        4 => (spot(), vec(replayed, 0..4)).prop_map(|(place, trades)| History::Replay { place, trades }),
        1 => spot().prop_map(|place| History::FinishReplay { place }),
        2 => (table(), 0_u32..4).prop_map(|(other, examples)| History::CompareTrades { other, examples }),
        1 => now().prop_map(|before| History::Prunable { before }),
        2 => (now(), 0_u32..4).prop_map(|(before, count)| History::Prune { before, count }),
        4 => (exported_table(), target(), markets(), hours(), hours())
            .prop_map(|(table, target, markets, from, until)| History::Export { table, target, markets, from, until }),
        1 => Just(History::CountedMarkets),
        4 => markets().prop_map(|markets| History::Recount { markets }),
    ]
}

fn exported_table() -> impl Strategy<Value = Table> {
    select(&[Table::Trades, Table::Markets, Table::Orderbooks, Table::RawEvents][..])
}

fn oversight() -> impl Strategy<Value = Oversight> {
    let watches = vec(watch(), 0..3).prop_map(|mut watches| {
        watches.sort_by(|a, b| a.target.cmp(&b.target));
        watches.dedup_by(|a, b| a.target == b.target);
        watches
    });
    prop_oneof![
        3 => (watches, now()).prop_map(|(watches, now)| Oversight::NoteSelection { watches, now }),
        3 => now().prop_map(|now| Oversight::Overview { now }),
        1 => Just(Oversight::Entries),
        1 => Just(Oversight::ClockOffset),
        1 => Just(Oversight::RetiredTotal),
    ]
}
