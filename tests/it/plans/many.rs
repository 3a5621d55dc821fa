//! Five times as many rows in one call cost five times as much, also in a database that has no statistics: it is new,
//! and the first pass stores thousands of markets. A plan that reads all rows of an array again for each of them
//! costs twenty-five times as much.

use std::collections::BTreeSet;

use kalshi_ingest::store::Store;

use super::fill::market;
use super::observed::{Cost, Costs, Observed, open};
use super::work::{self, Step};

const ROWS: [i64; 2] = [1_000, 5_000];
const FIRST: i64 = 500_000;

const STEPS: [Step; 9] = [
    ("checkpoints", |store, count| {
        work::commit_checkpoints(store, FIRST, count);
        // They are moved a second time: the planner knows by now that the table is not empty.
        work::commit_checkpoints(store, FIRST, count);
    }),
    ("trades", |store, count| work::commit_trades(store, FIRST, count, count)),
    ("counts", counts),
    ("watches", work::watches),
    ("refusals", work::refusals),
    ("markets", |store, count| work::save_markets(store, FIRST, count)),
    ("known markets", |store, count| work::save_markets(store, FIRST + count / 2, count)),
    ("books and scores", work::measure),
    ("slices", work::slices),
];

/// Counts the trades of many markets, and counts them anew.
fn counts(store: &mut dyn Store, count: i64) {
    work::commit_scattered(store, FIRST + 100_000, count);
    let markets: Vec<_> = (0..count).map(|number| market(FIRST + 100_000 + number)).collect();
    assert_eq!(store.recount(&markets).unwrap(), 0);
    work::report_of(store, &markets);
}

fn has_grown(few: Cost, many: Cost) -> bool {
    let is_more = |few: u64, many: u64| many > few * 8 + 250;
    is_more(few.buffers, many.buffers) || is_more(few.rows, many.rows)
}

#[test]
fn no_statement_of_postgres_reads_its_rows_again_for_each_of_them() {
    let mut server = Observed::start();
    let template = server.database("");
    let (mut grown, mut compared) = (Vec::new(), BTreeSet::new());
    for is_analyzed in [false, true] {
        let urls = ROWS.map(|_| server.copy(&template, is_analyzed));
        let mut stores = [0, 1].map(|at| open(&urls[at], false));
        for (step, work) in STEPS {
            let [few, many]: [Costs; 2] =
                [0, 1].map(|at| server.costs(|| work(stores[at].as_mut(), ROWS[at])));
            for (statement, many) in many {
                let Some(few) = few.get(&statement) else { continue };
                if has_grown(few.cost, many.cost) {
                    grown.push((
                        statement.clone(),
                        step,
                        is_analyzed,
                        few.cost,
                        many.cost,
                        many.plan,
                    ));
                }
                compared.insert(statement);
            }
        }
    }
    assert!(grown.is_empty(), "these cost more than the number of their rows explains: {grown:#?}");
    for statement in
        ["advance_checkpoints", "advance_slices", "complete_slices", "add_counts", "recount"]
    {
        assert!(compared.contains(statement), "{statement} was not compared: {compared:?}");
    }
}
