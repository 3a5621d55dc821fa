//! One list of calls drives both stores: each answer is compared cell by cell, errors by their kind, and
//! after each list all tables, too.
//!
//! A call that differs is shrunk to the shortest list that still shows it. `PARITY_CASES` and
//! `PARITY_SEED` ask for more lists and for others, by hand.

mod operations;
mod made;
mod drawn;
mod sealing;
mod dispatch;
pub(crate) mod tables;
mod coverage;
mod found;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;

use kalshi_ingest::domain::ticker::Ticker;
use kalshi_ingest::failure::{Kind, one_line};
use kalshi_ingest::kalshi::VENUE;
use kalshi_ingest::store::{DatabaseUrl, Missing, Store};
use postgres::Client;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::counts;
use crate::support::database::Database;
use dispatch::{Held, dispatch};
use operations::{History, Operation};

/// How many lists a run of the tests draws, and how long they are at most.
const CASES: u32 = 110;
const LENGTH: usize = 90;

/// Both databases as `migrate` leaves them, to be taken again and again.
struct World {
    /// SQLite's file.
    fresh: Vec<u8>,
    postgres: Database,
    client: RefCell<Client>,
}

/// Both databases without their stores: trades are deleted here, and counts compared with the trades.
struct Hand<'w> {
    sqlite: Connection,
    postgres: &'w RefCell<Client>,
    /// The markets of deleted trades: their counts are wrong until they are counted anew.
    deleted: BTreeSet<Ticker>,
}

/// One store and who uses it.
struct Subject {
    store: Box<dyn Store>,
    held: Held,
}

/// An answer, or the kind of its failure; with the words of it, which are not compared.
struct Answer {
    cells: Result<Vec<String>, Kind>,
    words: String,
}

impl World {
    fn new() -> World {
        let database = Database::sqlite();
        drop(database.open());
        let path = database.url.strip_prefix("sqlite:").unwrap();
        let fresh = fs::read(path).unwrap();
        let postgres = Database::postgres();
        drop(postgres.open());
        let mut client = tables::connect(&postgres.url);
        tables::keep_postgres(&mut client);
        World { fresh, postgres, client: RefCell::new(client) }
    }

    /// Does the same to both; says where they differ.
    fn compare(&self, operations: &[Operation], seen: &mut Seen) -> Result<(), String> {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("kalshi.db");
        fs::write(&path, &self.fresh).unwrap();
        tables::renew_postgres(&mut self.client.borrow_mut());
        let path = path.to_str().unwrap();
        let mut sqlite = Subject::open(&format!("sqlite:{path}"));
        let mut postgres = Subject::open(&self.postgres.url);
        let mut hand = Hand::new(path, &self.client);
        for (at, operation) in operations.iter().enumerate() {
            if let Operation::Delete { market } = operation {
                hand.delete(market);
                seen.note(operation, &Ok(Vec::new()));
                continue;
            }
            let (one, other) = (sqlite.answer(operation), postgres.answer(operation));
            if let Some(difference) = one.difference(&other) {
                return Err(format!("call {at} is answered differently: {difference}"));
            }
            seen.note(operation, &one.cells);
            hand.note(operation);
            hand.check().map_err(|wrong| format!("after call {at} counts are wrong: {wrong}"))?;
        }
        drop((sqlite, postgres, hand));
        let one = tables::of_sqlite(path).arranged();
        let other = tables::of_postgres(&mut self.client.borrow_mut()).arranged();
        match difference_of_tables(&one, &other) {
            Some(difference) => Err(format!("afterwards the tables differ: {difference}")),
            None => Ok(()),
        }
    }
}

impl<'w> Hand<'w> {
    fn new(path: &str, postgres: &'w RefCell<Client>) -> Hand<'w> {
        Hand { sqlite: Connection::open(path).unwrap(), postgres, deleted: BTreeSet::new() }
    }

    fn delete(&mut self, market: &Ticker) {
        let name = market.as_str().replace('\'', "''");
        let delete = format!("delete from prediction_market_trades where market_ticker = '{name}'");
        self.sqlite.execute_batch(&delete).unwrap();
        self.postgres.borrow_mut().batch_execute(&delete).unwrap();
        self.deleted.insert(market.clone());
    }

    fn note(&mut self, operation: &Operation) {
        if let Operation::History(History::Recount { markets }) = operation {
            self.deleted.retain(|market| !markets.contains(market));
        }
    }

    /// Names a market whose count is not that of its trades, although none of them were deleted.
    fn check(&self) -> Result<(), String> {
        let wrong = counts::of_sqlite(&self.sqlite)
            .into_iter()
            .chain(counts::of_postgres(&mut self.postgres.borrow_mut()));
        let is_known = |market: &str| self.deleted.iter().any(|known| known.as_str() == market);
        match { wrong }.find(|(market, _)| !is_known(market)) {
            Some((_, words)) => Err(words),
            None => Ok(()),
        }
    }
}

impl Subject {
    fn open(url: &str) -> Subject {
        let url = DatabaseUrl::parse(url, &|_| None).unwrap();
        Subject { store: url.open(Missing::Refuse, VENUE.source).unwrap(), held: Held::default() }
    }

    fn answer(&mut self, operation: &Operation) -> Answer {
        match dispatch(self.store.as_mut(), &mut self.held, operation) {
            Ok(cells) => Answer { cells: Ok(cells), words: String::new() },
            Err(failure) => Answer { cells: Err(failure.kind), words: one_line(&failure) },
        }
    }
}

impl Answer {
    fn difference(&self, other: &Answer) -> Option<String> {
        match (&self.cells, &other.cells) {
            (Ok(one), Ok(other)) => first_difference(one, other),
            (Err(one), Err(other)) if one == other => None,
            (one, others) => Some(format!(
                "{one:?} {} in SQLite, {others:?} {} in PostgreSQL",
                self.words, other.words
            )),
        }
    }
}

/// The first cell that is not the same.
fn first_difference<T: PartialEq + Debug>(one: &[T], other: &[T]) -> Option<String> {
    let at = (0..one.len().max(other.len())).find(|at| one.get(*at) != other.get(*at))?;
    Some(format!("row {at}\n    SQLite     {:?}\n    PostgreSQL {:?}", one.get(at), other.get(at)))
}

pub(crate) fn difference_of_tables(one: &tables::Tables, other: &tables::Tables) -> Option<String> {
    let names = |tables: &tables::Tables| tables.0.keys().cloned().collect::<Vec<_>>();
    first_difference(&names(one), &names(other)).or_else(|| {
        one.0.iter().find_map(|(name, table)| {
            let others = &other.0[name];
            first_difference(&table.columns, &others.columns)
                .or_else(|| first_difference(&table.rows, &others.rows))
                .map(|difference| format!("{name} ({}), {difference}", table.columns.join(", ")))
        })
    })
}

/// What really happened: how often each call was answered with something, with nothing, or not at all.
#[derive(Debug, Default)]
struct Seen(BTreeMap<String, [u64; 3]>);

impl Seen {
    fn note(&mut self, operation: &Operation, cells: &Result<Vec<String>, Kind>) {
        let nothing = ["[]", "None", "false", "0", "(0, 0)"];
        let kind = match cells {
            Ok(cells) if cells.iter().all(|cell| nothing.iter().any(|end| cell.ends_with(end))) => {
                1
            }
            Ok(_) => 0,
            Err(_) => 2,
        };
        self.0.entry(coverage::method(operation)).or_default()[kind] += 1;
        for cell in cells.iter().flatten() {
            if let Some((word, rest)) = cell.split_once(' ')
                && ["inserted", "rejected", "conflicting", "overtaken"].contains(&word)
                && rest != "[]"
            {
                self.0.entry(format!("commit: {word}")).or_default()[0] += 1;
            }
        }
    }
}

fn number(variable: &str) -> Option<u32> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
#[expect(clippy::print_stdout, reason = "who asks for more wants to know what was met")]
fn both_stores_answer_alike() {
    let seed = number("PARITY_SEED").unwrap_or(0);
    let config = Config {
        cases: number("PARITY_CASES").unwrap_or(CASES),
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let (world, met) = (World::new(), RefCell::new(Seen::default()));
    let mut runner = TestRunner::new_with_rng(config, rng);
    let ended = runner.run(&drawn::operations(LENGTH), |operations| {
        world
            .compare(&operations, &mut met.borrow_mut())
            .map_err(proptest::test_runner::TestCaseError::fail)
    });
    let met = met.into_inner();
    if let Err(TestError::Fail(reason, operations)) = ended {
        let story: Vec<String> = operations
            .iter()
            .enumerate()
            .map(|(at, operation)| format!("{at}: {operation:?}"))
            .collect();
        panic!("seed {seed}: {reason}\n{}", story.join("\n"));
    }
    ended.unwrap();
    // The last history may end with trades that were deleted by hand. Its counts were checked after each call.
    tables::renew_postgres(&mut world.client.borrow_mut());
    if number("PARITY_CASES").is_some() {
        println!("{met:#?}");
    }
    met.assert_something_of_all();
    // The last list may end with trades that were deleted by hand and not counted anew.
    tables::renew_postgres(&mut world.client.borrow_mut());
}
