//! Snapshots of order books.

use super::engine::{Access, Engine, statement};
use super::value::{Rows, Value, values};
use crate::domain::book::Snapshot;
use crate::failure::Failure;

/// The part of a store that holds order books.
pub trait Books {
    /// Appends snapshots of order books, in one transaction. A snapshot of the same market and instant as a stored one
    /// is left out.
    fn save_books(&mut self, books: &[Snapshot]) -> Result<(), Failure>;
}

impl<E: Engine> Books for E {
    fn save_books(&mut self, books: &[Snapshot]) -> Result<(), Failure> {
        let books: Rows<'_> = books.iter().map(columns).collect();
        self.transact("storing order books", Access::Write, |work| {
            work.execute_each(
                statement!("books", "insert_books"),
                &values![work.source()],
                &books,
                &[],
            )?;
            Ok(())
        })
    }
}

fn columns(book: &Snapshot) -> [Value<'_>; 14] {
    let figures = &book.figures;
    let [buy_100, buy_1000] = figures.slippage_buy_e9;
    let [sell_100, sell_1000] = figures.slippage_sell_e9;
    values![
        &book.market,
        book.captured_at,
        figures.best_yes_bid,
        figures.best_yes_ask,
        figures.best_no_bid,
        figures.best_no_ask,
        figures.spread_e4,
        figures.yes_depth_e2,
        figures.no_depth_e2,
        buy_100,
        sell_100,
        buy_1000,
        sell_1000,
        &*book.levels,
    ]
}
