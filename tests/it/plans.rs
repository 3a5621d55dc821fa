//! No statement becomes more expensive as the tables grow: the same small work is done on a small and on a big
//! database, and what each statement cost is compared in pages and rows, not in time.

mod observed;
mod fill;
mod work;
mod many;
mod sqlite;

use std::collections::{BTreeMap, BTreeSet};

use observed::{Cost, Costs, Observed, open, statements};
use work::STEPS;

/// The trades of the small and of the big database.
const TRADES: [i64; 2] = [3_000, 60_000];
/// The rows of the work, in both.
const ROWS: i64 = 100;

/// Steps and statements that read a table to its end, and the reason.
const READS_ALL: [(&str, &str, &str); 18] = [
    ("report of everything", "load_all_checkpoints", ALL),
    ("report of everything", "load_counts", ALL),
    ("report of everything", "count_all", BY_MARKET),
    ("report of everything", "load_busy", BY_MARKET),
    ("report", "count_all", BY_MARKET),
    ("report", "load_busy", BY_MARKET),
    ("the newest trade", "newest_trade", BY_MARKET),
    ("overview", "count_retired", "It counts them; the index has nothing else."),
    ("overview", "load_latest_scores", "It passes the lower scores of markets scored long ago."),
    ("lifespans", "load_lifespans", "No index knows the times of the markets of a series."),
    ("markets", "name_series", OPEN),
    ("known markets", "name_series", OPEN),
    ("replay", "load_events", "The first page of a replay since an instant looks for its place."),
    ("replay", "compare_trades", ALL),
    ("prune", "load_old", OLD),
    ("prune", "find_stored", OLD),
    ("recount", "load_counted", ALL),
    ("export", "count_raw_events", RAW),
];

/// Steps and statements that do so only while nobody has analyzed the tables: the planner takes the rows of a source
/// for few, and reads all of them through an index where a part of another one were enough.
const UNKNOWN: [(&str, &str); 4] = [
    ("overview", "load_retired"),
    ("questions about markets", "load_over_series"),
    ("refusals", "is_on_record"),
    ("export", "load_window_scores"),
];

/// It is asked for everything.
const ALL: &str = "It is asked for everything.";
/// A page looks at its own events; the count before a prune looks at all old ones, page by page.
const OLD: &str = "All old events are counted, page by page.";
/// A row of a market is small beside its trades.
const BY_MARKET: &str = "It reads a row for each market, and none for a trade.";
/// An index would cost each pass, for a table that is exported rarely.
const RAW: &str = "Raw events have no index by market; an export counts them once.";
/// They are few whatever the table holds.
const OPEN: &str = "It reads the index of markets without a series, which are few.";

/// Whether a cost grew: an index may have another level, and another page may be begun. In a small table many rows
/// share a page; in a big one each of them needs a page of the table and the way to it through the index.
fn has_grown(small: Cost, big: Cost) -> bool {
    big.rows > small.rows * 2 + 50 || big.buffers > small.buffers * 2 + big.rows * 4 + 50
}

/// The costs of all steps.
fn costs(
    server: &mut Observed,
    template: &str,
    is_analyzed: bool,
) -> BTreeMap<&'static str, Costs> {
    let url = server.copy(template, is_analyzed);
    let mut store = open(&url, false);
    STEPS.iter().map(|(name, step)| (*name, server.costs(|| step(store.as_mut(), ROWS)))).collect()
}

#[test]
fn no_statement_of_postgres_grows_with_its_table() {
    let mut server = Observed::start();
    let templates = TRADES.map(|trades| server.database(&fill::postgres(trades)));
    let (mut grown, mut sent) = (BTreeMap::new(), BTreeSet::new());
    for is_analyzed in [true, false] {
        let [small, big] = [0, 1].map(|at| costs(&mut server, &templates[at], is_analyzed));
        for (step, of_step) in big {
            for (statement, big) in of_step {
                let small = small[step].get(&statement).map_or(Cost::default(), |few| few.cost);
                if has_grown(small, big.cost) {
                    let words = format!("{small:?}, then {:?} by {}", big.cost, big.plan);
                    grown.insert((step, statement.clone(), is_analyzed), words);
                }
                sent.insert(statement);
            }
        }
    }
    let mut is_needed = |step, statement: &str, rounds: &[bool]| {
        let key = |is_analyzed: &bool| (step, statement.to_owned(), *is_analyzed);
        rounds.iter().filter(|round| grown.remove(&key(round)).is_some()).count() > 0
    };
    for (step, statement, _) in READS_ALL {
        let is_needed = is_needed(step, statement, &[true, false]);
        assert!(is_needed, "{step}, {statement} need not stand in READS_ALL: it does not grow");
    }
    for (step, statement) in UNKNOWN {
        let is_needed = is_needed(step, statement, &[false]);
        assert!(is_needed, "{step}, {statement} need not stand in UNKNOWN: it does not grow");
    }
    let named = statements("postgres").into_iter().map(|(_, name, _)| name);
    let silent: BTreeSet<String> = named.filter(|name| !sent.contains(name)).collect();
    assert!(grown.is_empty(), "these grow with their tables: {grown:#?}");
    assert!(silent.is_empty(), "no step of tests/it/plans/work.rs sends these: {silent:?}");
}
