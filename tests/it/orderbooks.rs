//! The `orderbooks` command against the simulated exchange: which books are asked for, and whether
//! what is stored of them is what they say.

use kalshi_simulator::{Asked, Book, Fault, Market, Rules, Status, seeded_book};

use crate::markets::{
    HOUR_US, MINUTE_US, SECOND_US, asked, invoke, micros, open_market, process, queries, rows,
    scaled,
};
use crate::support::bench::{Bench, NOON_US, stderr};
use crate::support::database::{Database, assert_rows, on_both_stores};

on_both_stores! {
    pooled:
    books_of_every_kind_are_stored_exactly,
    seeded_books_are_stored_exactly,
    a_hundred_markets_are_one_request,
    markets_that_do_not_trade_are_not_asked_for,
    an_empty_book_needs_a_market_that_trades,
    markets_come_from_events_series_and_everything,
    each_snapshot_is_a_row_of_its_own,
    names_that_nobody_has_are_named_and_stop_nothing,
    a_request_that_fails_does_not_stop_the_others,
    an_exchange_that_is_down_is_status_four,
    a_quiet_snapshot_says_nothing,
}

type Row = Vec<Option<String>>;

/// What is stored of each book, by market: the bests and the spread in 0.0001 cent, depths in 0.01
/// contract, slippages in 0.000000001 cent, the levels as received.
fn stored(database: &Database) -> Vec<Row> {
    let mut columns = vec!["market_ticker".to_owned()];
    for column in ["best_yes_bid", "best_yes_ask", "best_no_bid", "best_no_ask", "spread"] {
        columns.push(scaled(database, column, 4));
    }
    columns.extend(["yes_depth", "no_depth"].map(|column| scaled(database, column, 2)));
    for contracts in [100, 1_000] {
        for way in ["buy", "sell"] {
            columns.push(scaled(database, &format!("slippage_{way}_{contracts}"), 9));
        }
    }
    columns.push("levels".to_owned());
    let from = "orderbook_snapshots where source = 'kalshi' order by market_ticker, captured_at";
    rows(database, &columns, from)
}

/// The same worked out from the exchange's book, in whole numbers of 0.0001 dollar times 0.01
/// contract, which is a millionth of a dollar.
fn truth(ticker: &str, book: &Book) -> Row {
    const DOLLAR_E4: i64 = 10_000;
    let best = |side: &[(i64, u64)]| side.iter().map(|level| level.0).max();
    let (yes_bid, no_bid) = (best(&book.yes), best(&book.no));
    let asks: Vec<(i64, u64)> =
        book.no.iter().map(|(price, count)| (DOLLAR_E4 - price, *count)).collect();
    let (yes_ask, no_ask) = (no_bid.map(|bid| DOLLAR_E4 - bid), yes_bid.map(|bid| DOLLAR_E4 - bid));
    let cents = |price: Option<i64>| price.map(|price_e4| (price_e4 * 100).to_string());
    let depth =
        |side: &[(i64, u64)]| Some(side.iter().map(|level| level.1).sum::<u64>().to_string());
    let mut row = vec![Some(ticker.to_owned())];
    row.extend([cents(yes_bid), cents(yes_ask), cents(no_bid), cents(no_ask)]);
    row.push(cents(yes_ask.zip(yes_bid).map(|(ask, bid)| ask - bid)));
    row.extend([depth(&book.yes), depth(&book.no)]);
    for contracts in [100, 1_000] {
        // From the cheapest ask upwards, from the highest bid downwards.
        let bought = paid_e6(&asks, contracts, |price| price);
        let sold = paid_e6(&book.yes, contracts, |price| -price);
        for (paid_e6, sign) in [(bought, 1), (sold, -1)] {
            let mid_twice_e4 = yes_bid.zip(yes_ask).map(|(bid, ask)| i128::from(bid + ask));
            let slippage = paid_e6.zip(mid_twice_e4).map(|(paid_e6, mid_twice_e4)| {
                // Against the mid, of as many contracts as are wanted; in 1e-9 cent a contract.
                let above_e6_twice = 2 * paid_e6 - mid_twice_e4 * i128::from(contracts) * 100;
                let scaled = sign * above_e6_twice * 100_000;
                assert_eq!(scaled % (2 * i128::from(contracts)), 0, "{ticker}: exact");
                (scaled / (2 * i128::from(contracts))).to_string()
            });
            row.push(slippage);
        }
    }
    row.push(Some(json(book)));
    row
}

/// What so many contracts cost one after the other; `None` if there are not so many.
fn paid_e6(side: &[(i64, u64)], contracts: i64, order: impl Fn(i64) -> i64) -> Option<i128> {
    let mut levels = side.to_vec();
    levels.sort_by_key(|level| order(level.0));
    let mut left_e2 = i128::from(contracts) * 100;
    let mut paid_e6 = 0;
    for (price_e4, count_e2) in levels {
        let taken_e2 = left_e2.min(i128::from(count_e2));
        paid_e6 += i128::from(price_e4) * taken_e2;
        left_e2 -= taken_e2;
    }
    (left_e2 == 0).then_some(paid_e6)
}

/// A book as it is served: both sides by price, the best last.
fn json(book: &Book) -> String {
    let side = |levels: &[(i64, u64)]| {
        let mut levels = levels.to_vec();
        levels.sort_unstable();
        let text = |(price, count): &(i64, u64)| {
            let price = format!("{}.{:04}", price / 10_000, price % 10_000);
            format!("[\"{price}\",\"{}.{:02}\"]", count / 100, count % 100)
        };
        levels.iter().map(text).collect::<Vec<_>>().join(",")
    };
    format!("{{\"no_dollars\":[{}],\"yes_dollars\":[{}]}}", side(&book.no), side(&book.yes))
}

fn list_book(bench: &Bench<'_>, ticker: &str, book: &Book) {
    bench.exchange.add_market(open_market(ticker, "KXA-1"));
    bench.exchange.set_book(ticker, book.clone());
}

/// The tickers of each request for books; each is a parameter of its own.
fn asked_books(asked: &[Asked]) -> Vec<Vec<String>> {
    let is_book = |asked: &&Asked| asked.path.ends_with("/markets/orderbooks");
    let tickers = |asked: &Asked| {
        asked
            .query
            .iter()
            .map(|(name, value)| {
                assert_eq!(name, "tickers");
                assert!(!value.contains(','), "a list would be taken for one strange ticker");
                value.clone()
            })
            .collect()
    };
    asked.iter().filter(is_book).map(tickers).collect()
}

fn books_of_every_kind_are_stored_exactly(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let book = |yes: &[(i64, u64)], no: &[(i64, u64)]| Book { yes: yes.to_vec(), no: no.to_vec() };
    let lots = 1_000_000_000;
    let books = [
        ("KXA-EMPTY", book(&[], &[])),
        ("KXA-YES-ONLY", book(&[(4_000, lots)], &[])),
        ("KXA-NO-ONLY", book(&[], &[(1, lots), (9_999, 1)])),
        (
            "KXA-WHOLE-CENTS",
            book(&[(3_900, 50_000), (4_000, 60_000)], &[(5_900, 6_000), (5_800, lots)]),
        ),
        (
            "KXA-SUB-CENT",
            book(&[(4_001, 7), (3_999, lots)], &[(5_997, 13), (5_996, 1), (5_001, lots)]),
        ),
        ("KXA-HALF-MID", book(&[(4_001, lots)], &[(5_998, lots)])),
        ("KXA-CROSSED", book(&[(6_000, 10_000), (5_000, lots)], &[(5_000, 10_000), (4_999, lots)])),
        ("KXA-LOCKED", book(&[(5_000, lots)], &[(5_000, lots)])),
        ("KXA-EXACTLY-100", book(&[(4_000, 9_999), (3_000, 1)], &[(5_000, 10_000)])),
        ("KXA-JUST-LESS", book(&[(4_000, 9_999)], &[(5_000, 9_998), (4_000, 1)])),
        ("KXA-EXACTLY-1000", book(&[(4_000, 50_000), (1, 50_000)], &[(5_000, 100_000)])),
        ("KXA-NO-AT-ZERO", book(&[(1, lots)], &[(9_999, lots)])),
        ("KXA-EXTREMES", book(&[(0, 1), (10_000, lots)], &[(0, lots)])),
        ("KXA-DEEP", book(&[(5_000, u64::from(u32::MAX) * 1_000_000)], &[(4_000, 1)])),
    ];
    for (ticker, book) in &books {
        list_book(&bench, ticker, book);
    }
    assert_eq!(invoke(&bench, "orderbooks", &["--series", "KXA"]), 0);
    let mut expected: Vec<Row> = books.iter().map(|(ticker, book)| truth(ticker, book)).collect();
    expected.sort();
    assert_rows(&stored(database), &expected, "every figure, and the levels byte for byte");
    assert_eq!(expected.len(), books.len(), "an empty book is a book");
    let captured = database.texts(&format!(
        "select distinct {} as x from orderbook_snapshots",
        micros(database, "captured_at")
    ));
    let [Some(captured)] = &captured[..] else { panic!("{captured:?}") };
    let captured_us: i64 = captured.parse().unwrap();
    let span = NOON_US..NOON_US + 30 * SECOND_US;
    assert!(span.contains(&captured_us), "{captured_us}: the exchange's time, not ours");
}

fn seeded_books_are_stored_exactly(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let mut expected = Vec::new();
    for seed in 0..150 {
        let ticker = format!("KXA-1-{seed:03}");
        let mut book = seeded_book(seed, &ticker);
        for (at, level) in (0_i64..).zip(book.yes.iter_mut().chain(&mut book.no)) {
            level.0 -= at % 7; // Off the grid of whole cents.
        }
        list_book(&bench, &ticker, &book);
        expected.push(truth(&ticker, &book));
    }
    assert_eq!(invoke(&bench, "orderbooks", &["--event", "KXA-1"]), 0);
    assert_rows(&stored(database), &expected, "150 books");
    let known = |column: usize| expected.iter().filter(|row| row[column].is_some()).count();
    assert!(0 < known(10) && known(10) < 150, "some are too thin for 1,000, some are not");
}

fn a_hundred_markets_are_one_request(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    for n in 0..250 {
        list_book(&bench, &format!("KXA-1-{n:03}"), &Book::default());
    }
    let named: Vec<String> = (0..250).map(|n| format!("KXA-1-{n:03}")).collect();
    for selection in [["--series", "KXA"], ["--market", &named.join(",")], ["--all", "-q"]] {
        bench.advance(MINUTE_US);
        assert_eq!(invoke(&bench, "orderbooks", &selection), 0, "{selection:?}");
        let requests = asked_books(&asked(&bench));
        let counts: Vec<usize> = requests.iter().map(Vec::len).collect();
        assert_eq!(counts, [100, 100, 50], "{selection:?}");
        assert_eq!(requests.concat(), named, "{selection:?}: each once");
    }
    assert_eq!(stored(database).len(), 3 * 250);
    let runs = "select sum(markets) as x from ingestion_runs where command = 'orderbooks'";
    assert_eq!(database.number(runs), 750);
}

/// Markets of every status; only those that trade, or are halted, have a book.
fn markets_of_every_status(bench: &Bench<'_>) -> Vec<String> {
    let hour_ago = NOON_US - HOUR_US;
    let open = |name: &str| open_market(&format!("KXA-1-{name}"), "KXA-1");
    let with = |name: &str, status: Status| Market { status: Some(status), ..open(name) };
    for market in [
        open("A-OPEN"),
        with("B-PAUSED", Status::Inactive),
        Market { open_us: NOON_US + HOUR_US, ..open("C-SOON") },
        Market { close_us: hour_ago, ..open("D-CLOSED") },
        with("E-DETERMINED", Status::Determined),
        with("F-DISPUTED", Status::Disputed),
        Market { settled_us: Some(hour_ago), ..with("G-SETTLED", Status::Finalized) },
        Market { settled_us: Some(hour_ago - HOUR_US), ..with("H-ARCHIVED", Status::Finalized) },
    ] {
        bench.exchange.set_book(&market.ticker, Book { yes: vec![(4_000, 100)], no: Vec::new() });
        bench.exchange.add_market(market);
    }
    bench
        .exchange
        .change(|world| world.rules.markets_cutoff_s = (hour_ago - MINUTE_US) / SECOND_US);
    bench.exchange.markets().into_iter().map(|market| market.ticker).collect()
}

fn markets_that_do_not_trade_are_not_asked_for(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let all = markets_of_every_status(&bench).join(",");
    let live = [["KXA-1-A-OPEN", "KXA-1-B-PAUSED"]];
    for selection in
        [["--market", &all], ["--series", "KXA"], ["--event", "KXA-1"], ["--all", "-q"]]
    {
        assert_eq!(invoke(&bench, "orderbooks", &selection), 0, "{selection:?}");
        assert_eq!(asked_books(&asked(&bench)), live, "{selection:?}");
        bench.advance(MINUTE_US);
    }
    // What was live at the last look and is not any more is not taken for one without bids.
    bench.advance(HOUR_US);
    for name in ["A-OPEN", "B-PAUSED"] {
        bench.exchange.settle_market(&format!("KXA-1-{name}"), "yes", 10_000);
    }
    for selection in
        [["--market", &all], ["--series", "KXA"], ["--event", "KXA-1"], ["--all", "-q"]]
    {
        assert_eq!(invoke(&bench, "orderbooks", &selection), 0, "{selection:?}");
        // By now the other one is open.
        assert_eq!(asked_books(&asked(&bench)), [["KXA-1-C-SOON"]], "{selection:?}");
        bench.advance(MINUTE_US);
    }
    assert_eq!(stored(database).len(), 4 * 2 + 4);
}

fn an_empty_book_needs_a_market_that_trades(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    for market in ["KXA-1-BIDS", "KXA-1-QUIET"] {
        bench.exchange.add_market(open_market(market, "KXA-1"));
    }
    bench.exchange.set_book("KXA-1-BIDS", seeded_book(1, "KXA-1-BIDS"));
    let count = || database.number("select count(*) as x from orderbook_snapshots");
    let markets = ["--market", "KXA-1-BIDS,KXA-1-QUIET"];
    assert_eq!(invoke(&bench, "orderbooks", &markets), 0);
    assert_eq!(count(), 2, "nobody bids on one of them, and it trades");
    // On record both trade, and are not to be looked at for a while.
    bench.advance(MINUTE_US);
    bench.exchange.settle_market("KXA-1-BIDS", "yes", 10_000);
    assert_eq!(invoke(&bench, "orderbooks", &markets), 0);
    assert_eq!(count(), 3, "the settled one has no book any more");
    bench.advance(MINUTE_US);
    bench.exchange.remove_market("KXA-1-QUIET");
    assert_eq!(invoke(&bench, "orderbooks", &markets), 0);
    assert_eq!(count(), 3, "nor has one that is not known any more");
}

fn markets_come_from_events_series_and_everything(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    for (ticker, event) in
        [("KXA-1-X", "KXA-1"), ("KXA-2-X", "KXA-2"), ("KXB-1-X", "KXB-1"), ("KXC-1-X", "KXC-1")]
    {
        bench.exchange.add_market(open_market(ticker, event));
    }
    let combo = Market { is_combo: true, ..open_market("KXMVEX-1-X", "KXMVEX-1") };
    bench.exchange.add_market(combo);
    for (selection, expected) in [
        (&["--series", "KXA"][..], &["KXA-1-X", "KXA-2-X"][..]),
        (&["--event", "KXA-2,KXB-1"], &["KXA-2-X", "KXB-1-X"]),
        (
            &["--series", "KXA", "--event", "KXA-1", "--market", "KXA-1-X,KXC-1-X"],
            &["KXA-1-X", "KXA-2-X", "KXC-1-X"],
        ),
        (&["--series", "KXMVEX"], &["KXMVEX-1-X"]),
        (&["--market", "KXMVEX-1-X"], &["KXMVEX-1-X"]),
        (&["--all"], &["KXA-1-X", "KXA-2-X", "KXB-1-X", "KXC-1-X"]),
        (
            &["--all", "--market", "KXMVEX-1-X"],
            &["KXA-1-X", "KXA-2-X", "KXB-1-X", "KXC-1-X", "KXMVEX-1-X"],
        ),
    ] {
        assert_eq!(invoke(&bench, "orderbooks", selection), 0, "{selection:?}");
        assert_eq!(asked_books(&asked(&bench)), [expected], "{selection:?}: each once");
        bench.advance(MINUTE_US);
    }
    let shards = ["0/2", "1/2"].map(|shard| {
        bench.advance(MINUTE_US);
        assert_eq!(invoke(&bench, "orderbooks", &["--all", "--shard", shard]), 0);
        asked_books(&asked(&bench)).concat()
    });
    let mut both = shards.concat();
    both.sort();
    assert_eq!(both, ["KXA-1-X", "KXA-2-X", "KXB-1-X", "KXC-1-X"], "each by one shard: {shards:?}");
}

fn each_snapshot_is_a_row_of_its_own(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let first = seeded_book(1, "first");
    let second = seeded_book(2, "second");
    list_book(&bench, "KXA-1-X", &first);
    assert_eq!(invoke(&bench, "orderbooks", &["--series", "KXA"]), 0);
    bench.advance(MINUTE_US);
    bench.exchange.set_book("KXA-1-X", second.clone());
    assert_eq!(invoke(&bench, "orderbooks", &["--series", "KXA"]), 0);
    bench.advance(MINUTE_US);
    assert_eq!(invoke(&bench, "orderbooks", &["--series", "KXA"]), 0);
    let expected = [&first, &second, &second].map(|book| truth("KXA-1-X", book));
    assert_rows(&stored(database), &expected, "in order, also when nothing changed");
}

fn names_that_nobody_has_are_named_and_stop_nothing(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    list_book(&bench, "KXA-1-GOOD", &seeded_book(1, "good"));
    bench.exchange.add_series("KXEMPTY", "Nothing yet");
    let flags =
        ["--market", "KXA-1-BAD,KXA-1-GOOD", "--event", "KXE-BAD", "--series", "KXSBAD,KXEMPTY"];
    let output = process(&bench, "orderbooks", &flags);
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{error}");
    for name in ["market KXA-1-BAD", "event KXE-BAD", "series KXSBAD"] {
        let said = format!("the exchange knows no {name};");
        assert_eq!(error.matches(&said).count(), 1, "{name} once in {error}");
    }
    assert!(!error.contains("GOOD") && !error.contains("KXEMPTY"), "{error}");
    assert_eq!(asked_books(&asked(&bench)), [["KXA-1-GOOD"]], "no empty book of what is not there");
    assert_eq!(stored(database), [truth("KXA-1-GOOD", &seeded_book(1, "good"))]);
}

fn a_request_that_fails_does_not_stop_the_others(database: &Database) {
    for (faults, requests, why) in [
        (vec![Fault::None, Fault::Garbage], 4, "asked again"),
        (vec![Fault::None, Fault::NotTrades], 4, "something else is no list without books"),
        (
            vec![Fault::TooMany { retry_after: None }, Fault::Status(503), Fault::Truncated],
            6,
            "asked again",
        ),
        (vec![Fault::None, Fault::Status(400)], 3, "refused for good"),
        ([vec![Fault::None], vec![Fault::Garbage; 6]].concat(), 8, "given up after six attempts"),
    ] {
        let bench = Bench::new(database, Rules::default());
        database.execute("delete from orderbook_snapshots");
        for n in 0..250 {
            list_book(&bench, &format!("KXA-1-{n:03}"), &seeded_book(n, "some"));
        }
        let is_lost = requests == 3 || requests == 8;
        bench.exchange.script_for("/markets/orderbooks", faults);
        let expected = if is_lost { 4 } else { 0 };
        assert_eq!(invoke(&bench, "orderbooks", &["--series", "KXA"]), expected, "{why}");
        assert_eq!(asked_books(&asked(&bench)).len(), requests, "{why}");
        let truth: Vec<Row> = (0..250)
            .filter(|n| !is_lost || !(100..200).contains(n))
            .map(|n| truth(&format!("KXA-1-{n:03}"), &seeded_book(n, "some")))
            .collect();
        assert_rows(&stored(database), &truth, why);
    }
}

fn an_exchange_that_is_down_is_status_four(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    list_book(&bench, "KXA-1-X", &seeded_book(1, "one"));
    bench.exchange.fail_always("/markets", Some(Fault::Status(503)));
    for selection in [["--market", "KXA-1-X"], ["--event", "KXA-1"]] {
        let output = process(&bench, "orderbooks", &selection);
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(4), "nothing else would tell: {error}");
        assert!(error.contains(selection[1]), "{error}");
    }
    assert!(stored(database).is_empty());
    bench.exchange.clear_faults();
    assert_eq!(invoke(&bench, "orderbooks", &["--market", "KXA-1-X"]), 0);
    // What is known from the last time is enough to ask for its book.
    bench.exchange.fail_always("/markets", Some(Fault::Status(503)));
    bench.advance(MINUTE_US);
    assert_eq!(invoke(&bench, "orderbooks", &["--market", "KXA-1-X"]), 0);
    assert_eq!(stored(database).len(), 2);
    bench.exchange.clear_faults();
    bench.exchange.fail_always("/markets/orderbooks", Some(Fault::Status(401)));
    let output = process(&bench, "orderbooks", &["-q", "--market", "KXA-1-X"]);
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(stderr(&output).lines().count(), 1, "one line: {}", stderr(&output));
}

fn a_quiet_snapshot_says_nothing(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    list_book(&bench, "KXA-1-X", &Book::default());
    let output = process(&bench, "orderbooks", &["-q", "--series", "KXA"]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    bench.advance(MINUTE_US);
    asked(&bench);
    let output = process(&bench, "orderbooks", &["--series", "KXA"]);
    let said = stderr(&output);
    assert!(said.contains("snapshot ended after"), "{said}");
    assert!(said.contains("markets=1 requests=2 retries=0"), "{said}");
    let expected = [
        "/markets?series_ticker=KXA&min_close_ts=1784996400&mve_filter=exclude",
        "/markets/orderbooks?tickers=KXA-1-X",
    ];
    assert_eq!(queries(&asked(&bench)), expected);
    assert!(output.stdout.is_empty());
}
