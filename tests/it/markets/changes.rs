//! What changes on the exchange is found, in few requests, and recorded once.

use std::time::Duration;

use kalshi_ingest::clock::Clock as _;
use kalshi_simulator::{Market, Rules, Status};

use super::{
    HOUR_US, MINUTE_US, SECOND_US, asked, change_count, changes, invoke, market_count, open_market,
    pairs, queries, statuses,
};
use crate::support::bench::{Bench, DAY_US, NOON_US};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    a_second_sync_reads_what_changed,
    each_change_of_status_is_one_row,
    what_opens_and_closes_silently_is_noticed,
    what_was_asked_too_early_is_asked_again,
    a_late_settlement_is_picked_up,
    a_settlement_is_found_in_the_archive,
    a_market_that_vanishes_is_believed_gone_after_a_while,
    combos_are_read_whole_every_time,
    every_shard_syncs_its_own_markets,
    a_pass_syncs_when_it_is_due,
}

const KXA: [&str; 2] = ["--series", "KXA"];

fn a_second_sync_reads_what_changed(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.change(|world| {
        for n in 0..2_500 {
            let event = format!("KXA-{}", n / 25);
            world.add_market(open_market(&format!("{event}-{n:04}"), &event));
        }
    });
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    let first = asked(&bench);
    let pages: Vec<usize> = first.iter().map(|asked| asked.row_count).collect();
    assert_eq!(pages, [1_000, 1_000, 500, 0, 0], "three pages and the archive, twice");
    assert_eq!((market_count(database), change_count(database)), (2_500, 2_500));
    bench.advance(HOUR_US);
    bench.exchange.change_market("KXA-0-0007", |market| market.close_us += DAY_US);
    bench.exchange.change_market("KXA-99-2499", |market| market.status = Some(Status::Inactive));
    bench.exchange.add_market(Market {
        updated_us: NOON_US + MINUTE_US,
        ..open_market("KXA-100-NEW", "KXA-100")
    });
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    let second = asked(&bench);
    let since = NOON_US / SECOND_US - 60;
    let query = format!("/markets?series_ticker=KXA&min_updated_ts={since}&mve_filter=exclude");
    assert_eq!(queries(&second), [query], "one request for what changed since the first one began");
    assert_eq!(second[0].row_count, 3, "two changed, one new");
    let paused = statuses(database).into_iter().filter(|(_, status)| status != "active");
    assert_eq!(paused.collect::<Vec<_>>(), pairs(&[("KXA-99-2499", "inactive")]));
    assert_eq!((market_count(database), change_count(database)), (2_501, 2_502));
    let moved = "select market_ticker || ' ' || field || ' ' || (previous_value < value) as x from market_changes";
    let moved: Vec<String> = database.texts(moved).into_iter().flatten().collect();
    let is_later = if database.url.starts_with("sqlite:") { "1" } else { "true" };
    assert_eq!(moved, [format!("KXA-0-0007 close_time {is_later}")], "the close is a day later");
    bench.advance(HOUR_US);
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    let third = asked(&bench);
    let since = since + 3_600;
    let query = format!("/markets?series_ticker=KXA&min_updated_ts={since}&mve_filter=exclude");
    assert_eq!(queries(&third), [query], "from the second on");
    assert_eq!(third[0].row_count, 2, "within the overlap: what changed as the second one began");
    assert_eq!(change_count(database), 2_502, "which is news no more");
}

fn each_change_of_status_is_one_row(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let future = Market {
        open_us: NOON_US + DAY_US,
        updated_us: NOON_US - DAY_US,
        ..open_market("KXA-1", "KXA")
    };
    bench.exchange.add_market(future);
    let statuses = [
        None,
        Some(Status::Active),
        Some(Status::Inactive),
        Some(Status::Active),
        Some(Status::Closed),
        Some(Status::Determined),
        Some(Status::Disputed),
        Some(Status::Amended),
        Some(Status::Finalized),
    ];
    let mut expected = Vec::new();
    let mut previous = "-";
    for status in statuses {
        if let Some(status) = status {
            bench.exchange.change_market("KXA-1", |market| market.status = Some(status));
        }
        let word = status.map_or("initialized", Status::as_str);
        expected.push((previous, word));
        for look in 0..2 {
            assert_eq!(invoke(&bench, "markets", &KXA), 0, "{word}");
            assert_eq!(changes(database, "KXA-1"), pairs(&expected), "{word}, look {look}");
            bench.advance(SECOND_US);
        }
        bench.exchange.change_market("KXA-1", |market| market.title.push('!'));
        bench.advance(2 * MINUTE_US);
        previous = word;
    }
    let title = database.texts("select title as x from prediction_markets");
    assert_eq!(
        title,
        [Some("Will KXA-1 happen?!!!!!!!!".to_owned())],
        "the last is not synced yet"
    );
}

fn what_opens_and_closes_silently_is_noticed(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let silent =
        |ticker: &str| Market { updated_us: NOON_US - DAY_US, ..open_market(ticker, "KXA-1") };
    bench.exchange.add_market(Market { open_us: NOON_US + HOUR_US, ..silent("KXA-1-OPENS") });
    bench.exchange.add_market(Market { close_us: NOON_US + HOUR_US, ..silent("KXA-1-CLOSES") });
    bench.exchange.add_market(silent("KXA-1-STAYS"));
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    assert_eq!(asked(&bench).len(), 3);
    bench.advance(HOUR_US - 2 * SECOND_US);
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    assert_eq!(asked(&bench).len(), 2, "nothing can have happened yet, as two lists agree");
    assert_eq!(change_count(database), 3);
    bench.advance(4 * SECOND_US);
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    let asked = asked(&bench);
    assert_eq!(asked[0].row_count, 0, "the exchange lists neither as updated");
    assert_eq!(queries(&asked[2..]), ["/markets?tickers=KXA-1-CLOSES,KXA-1-OPENS"]);
    let opened = [("-", "initialized"), ("initialized", "active")];
    assert_eq!(changes(database, "KXA-1-OPENS"), pairs(&opened));
    assert_eq!(changes(database, "KXA-1-CLOSES"), pairs(&[("-", "active"), ("active", "closed")]));
    assert_eq!(change_count(database), 5);
}

/// Answers are cached for some seconds, and cron comes at the full minute, as openings do.
fn what_was_asked_too_early_is_asked_again(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let silent = |ticker: &str| Market {
        updated_us: NOON_US - DAY_US,
        // As an answer from a cache says it.
        ..open_market(ticker, "KXA-1")
    };
    let opens = Market { open_us: NOON_US - MINUTE_US, ..silent("KXA-1-OPENS") };
    let closes = Market { close_us: NOON_US - MINUTE_US, ..silent("KXA-1-CLOSES") };
    bench.exchange.add_market(Market { status: Some(Status::Initialized), ..opens.clone() });
    bench.exchange.add_market(Market { status: Some(Status::Active), ..closes.clone() });
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    bench.exchange.add_market(opens);
    bench.exchange.add_market(closes);
    bench.advance(2 * MINUTE_US);
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    let now = pairs(&[("KXA-1-CLOSES", "closed"), ("KXA-1-OPENS", "active")]);
    assert_eq!(statuses(database), now);
}

fn closed_market() -> Market {
    Market {
        close_us: NOON_US - HOUR_US,
        updated_us: NOON_US - HOUR_US,
        ..open_market("KXA-1-X", "KXA-1")
    }
}

fn settlement(database: &Database) -> Vec<Option<String>> {
    let columns = ["result", "settlement_time is not null", "settlement_value = 100"];
    let query = |column| format!("select cast({column} as text) as x from prediction_markets");
    let cells = columns.map(|column| database.texts(&query(column)).remove(0));
    let is_true =
        |cell: Option<String>| cell.map(|cell| if cell == "1" { "true".to_owned() } else { cell });
    cells.map(is_true).into()
}

fn settled() -> Vec<Option<String>> {
    ["yes", "true", "true"].map(|text| Some(text.to_owned())).into()
}

fn a_late_settlement_is_picked_up(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_market(closed_market());
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    bench.advance(HOUR_US);
    bench.exchange.change_market("KXA-1-X", |market| {
        market.status = Some(Status::Determined);
        "yes".clone_into(&mut market.result);
    });
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    bench.advance(3 * DAY_US);
    bench.exchange.settle_market("KXA-1-X", "yes", 10_000);
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    assert_eq!(settlement(database), settled());
    let expected = [("-", "closed"), ("closed", "determined"), ("determined", "finalized")];
    assert_eq!(changes(database, "KXA-1-X"), pairs(&expected));
    asked(&bench);
    bench.advance(DAY_US);
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    let asked = queries(&asked(&bench));
    assert!(!asked.iter().any(|q| q.contains("tickers=")), "what is settled is over: {asked:?}");
}

/// Nobody synced for so long that the market left the live list before its settlement was seen.
fn a_settlement_is_found_in_the_archive(database: &Database) {
    let selections: [&[&str]; 4] =
        [&KXA, &["--event", "KXA-1"], &["--market", "KXA-1-X"], &["--all"]];
    for selection in selections {
        let bench = Bench::new(database, Rules::default());
        database.execute("delete from prediction_markets");
        database.execute("delete from market_status_changes");
        database.execute("delete from selection_watches");
        bench.exchange.add_market(closed_market());
        bench.exchange.add_market(open_market("KXA-1-Y", "KXA-1"));
        assert_eq!(invoke(&bench, "markets", selection), 0);
        bench.advance(HOUR_US);
        bench.exchange.settle_market("KXA-1-X", "yes", 10_000);
        bench.advance(70 * DAY_US);
        bench.exchange.change(|world| {
            world.rules.markets_cutoff_s = (NOON_US + 10 * DAY_US) / SECOND_US;
        });
        asked(&bench);
        assert_eq!(invoke(&bench, "markets", selection), 0);
        let asked = queries(&asked(&bench));
        let is_archive = |query: &String| query.starts_with("/historical/markets?");
        assert!(asked.iter().any(is_archive), "{selection:?}: {asked:?}");
        database.execute("delete from prediction_markets where market_ticker = 'KXA-1-Y'");
        assert_eq!(settlement(database), settled(), "{selection:?}");
        let expected = pairs(&[("-", "closed"), ("closed", "finalized")]);
        assert_eq!(changes(database, "KXA-1-X"), expected, "{selection:?}");
    }
}

fn a_market_that_vanishes_is_believed_gone_after_a_while(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_market(Market { is_provisional: true, ..closed_market() });
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    bench.exchange.remove_market("KXA-1-X");
    for (minutes, status) in [(10, "closed"), (2, "closed"), (2, "closed"), (2, "vanished")] {
        bench.advance(minutes * MINUTE_US);
        assert_eq!(invoke(&bench, "markets", &KXA), 0, "no mistake of the operator's");
        assert_eq!(statuses(database), pairs(&[("KXA-1-X", status)]));
    }
    assert_eq!(changes(database, "KXA-1-X"), pairs(&[("-", "closed"), ("closed", "vanished")]));
}

fn combos_are_read_whole_every_time(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let combo = |n: i64| Market {
        is_combo: true,
        price_level_structure: "center_deci_edge_centi_cent".to_owned(),
        ..open_market(&format!("KXMVEX-S1-{n}"), "KXMVEX-S1")
    };
    for n in 0..3 {
        bench.exchange.add_market(combo(n));
    }
    let series = ["--series", "KXMVEX"];
    assert_eq!(invoke(&bench, "markets", &series), 0);
    let archive = "/historical/markets?series_ticker=KXMVEX";
    let first = ["/markets?series_ticker=KXMVEX", archive, archive];
    assert_eq!(queries(&asked(&bench)), first, "they would be filtered out otherwise");
    bench.advance(HOUR_US);
    bench.exchange.settle_market("KXMVEX-S1-1", "no", 0);
    assert_eq!(invoke(&bench, "markets", &series), 0);
    assert_eq!(queries(&asked(&bench)), first[..1], "changes of combos are on no list");
    let expected = [("-", "active"), ("active", "finalized")];
    assert_eq!(changes(database, "KXMVEX-S1-1"), pairs(&expected));
    database.execute("delete from prediction_markets");
    assert_eq!(invoke(&bench, "markets", &["--event", "KXMVEX-S1"]), 0);
    let expected = [
        "/markets?event_ticker=KXMVEX-S1",
        "/historical/markets?event_ticker=KXMVEX-S1",
        "/historical/markets?event_ticker=KXMVEX-S1",
        "/events/multivariate?tickers=KXMVEX-S1",
    ];
    assert_eq!(queries(&asked(&bench)), expected, "their events have a list of their own");
    let series = database.texts("select distinct series_ticker as x from prediction_markets");
    assert_eq!(series, [Some("KXMVEX".to_owned())]);
}

fn every_shard_syncs_its_own_markets(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    for n in 0..40 {
        bench.exchange.add_market(open_market(&format!("KXA-1-{n:02}"), "KXA-1"));
        bench.exchange.add_market(open_market(&format!("KXB-1-{n:02}"), "KXB-1"));
    }
    let named: Vec<String> = (0..40).map(|n| format!("KXB-1-{n:02}")).collect();
    let named = named.join(",");
    let shards = ["0/3", "1/3", "2/3"];
    for round in 0..2 {
        for shard in shards {
            let flags = ["--series", "KXA", "--market", &named, "--sync-markets", "1d"];
            let flags = [&flags[..], &["--shard", shard, "--deadline", "30s"]].concat();
            assert_eq!(invoke(&bench, "run", &flags), 0, "{shard}");
        }
        let synced =
            asked(&bench).iter().filter(|a| a.path.ends_with("/historical/markets")).count();
        assert_eq!(
            synced,
            if round == 0 { 6 } else { 0 },
            "each shard once a day, the archive twice"
        );
    }
    assert_eq!(market_count(database), 80);
    database.execute("delete from prediction_markets");
    database.execute("delete from selection_watches");
    for shard in shards {
        assert_eq!(invoke(&bench, "markets", &["--series", "KXA", "--shard", shard]), 0);
    }
    assert_eq!(market_count(database), 40, "the second one's first sync is a whole one, too");
}

fn a_pass_syncs_when_it_is_due(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_market(open_market("KXA-1-X", "KXA-1"));
    bench
        .exchange
        .add_market(Market { close_us: NOON_US - 1, ..open_market("KXA-1-OLD", "KXA-1") });
    let syncs = |every: Option<&str>| {
        let every = every.map(|every| ["--sync-markets", every]);
        let flags = [&KXA[..], every.as_ref().map_or(&[], |flags| &flags[..])].concat();
        assert_eq!(invoke(&bench, "run", &flags), 0);
        // Which markets are open is asked for in any case.
        let is_of_a_sync = |asked: &&kalshi_simulator::Asked| {
            asked.path.contains("/markets") && asked.param("min_close_ts").is_none()
        };
        asked(&bench).iter().filter(is_of_a_sync).count()
    };
    assert_eq!(syncs(None), 0, "nobody wanted one");
    assert_eq!(statuses(database), pairs(&[("KXA-1-X", "active")]), "the open one is met anyway");
    assert_eq!(syncs(Some("15m")), 3, "the first is due: live and archived, which is empty");
    let both = [("KXA-1-OLD", "closed"), ("KXA-1-X", "active")];
    assert_eq!(statuses(database), pairs(&both));
    assert_eq!(syncs(Some("15m")), 0, "not again within a quarter of an hour");
    assert_eq!(syncs(Some("0s")), 1, "unless that is wanted: what changed");
    let synced_ago = |span| {
        let at = bench.clock.now().before(span);
        database.execute(&format!(
            "update selection_watches set synced_at = '{at}', synced_until = '{at}'"
        ));
    };
    synced_ago(Duration::from_secs(16 * 60));
    assert_eq!(syncs(Some("15m")), 1, "or the quarter is over");
    synced_ago(Duration::from_secs(40 * 86_400));
    assert_eq!(syncs(Some("15m")), 3, "what was archived since then is on no list of changes");
    assert_eq!(syncs(Some("1d")), 0);
    assert_eq!(change_count(database), 2);
}
