//! The promises of every store. `tests/it/conformance.rs` checks each store against them.

use super::books::Books;
use super::candles::Candles;
use super::checkpoints::Checkpoints;
use super::counts::Counts;
use super::engine::Engine;
use super::exchange::Exchanges;
use super::exports::Exports;
use super::handles::Lock;
use super::markets::Markets;
use super::overview::Overviews;
use super::replay::Replays;
use super::runs::Runs;
use super::scores::Scores;
use super::slices::Slices;
use super::trades::Trades;
use super::watches::Watches;
use crate::domain::time::Timestamp;
use crate::failure::Failure;

/// A database that holds trades, raw events and checkpoints.
///
/// * [`commit`](Trades::commit) ends with one transaction, in which all checkpoints and slices move. After any failure,
///   and after a kill at any instant, they have moved together with all rows, or not at all. Some trades of a big
///   commit may be stored before, each with its raw event and its count, in a transaction of their own: rows without a
///   claim do no harm, and a claim without its rows does not exist.
/// * A trade is stored once, however often it is committed. Its raw event is stored with its first appearance. A
///   rejected event is stored once, with its reason. An event that contradicts a stored trade is stored in the same
///   way: the first version of the trade stays.
/// * A checkpoint moves only inside `commit`, only when its row still has the version that the commit was computed
///   from, and `complete_until` moves back only with a correction in the same commit. The receipt names a checkpoint
///   that may not move. The rows of the commit are stored anyway; that does no harm, because they are true.
/// * The events of a commit are counted in the run's row in the same transaction, and so are the stored trades of each
///   market.
/// * Errors are [`Kind::StoreUnavailable`](crate::failure::Kind) when the database cannot be reached,
///   [`Kind::StoreInterrupted`](crate::failure::Kind) when the connection breaks, and
///   [`Kind::StoreRefused`](crate::failure::Kind) when the database refuses the statement. No error names a password.
pub trait Store:
    Books
    + Candles
    + Checkpoints
    + Counts
    + Exchanges
    + Exports
    + Markets
    + Overviews
    + Replays
    + Runs
    + Scores
    + Slices
    + Trades
    + Watches
    + Send
{
    /// Migrates the schema to this build in one transaction, and returns the names of the applied steps. A schema that
    /// is newer than the build, or that was changed by hand, is an error. With a step all views are made anew.
    fn migrate(&mut self, now: Timestamp) -> Result<Vec<&'static str>, Failure>;

    /// Checks that the schema is that of this build. The error says who has to do what. Reads only.
    fn check_schema(&mut self) -> Result<(), Failure>;

    /// Whether there is a schema, of whatever build. Reads only.
    fn has_schema(&mut self) -> Result<bool, Failure>;

    /// Makes the views that are missing. A view is left out, with a warning, where something else has its name or this
    /// role may not make it.
    fn make_views(&mut self) -> Result<(), Failure>;

    /// Connects anew after a [`Kind::StoreInterrupted`](crate::failure::Kind). Committed work is stored, all other
    /// work has to be repeated.
    fn reconnect(&mut self) -> Result<(), Failure>;

    /// Takes the named lock; `None` when another process holds it. The lock only avoids double work: the
    /// compare-and-set of `commit` makes an overlap of passes harmless.
    fn try_lock(&mut self, name: &str) -> Result<Option<Box<dyn Lock>>, Failure>;
}

impl<E: Engine> Store for E {
    fn migrate(&mut self, now: Timestamp) -> Result<Vec<&'static str>, Failure> {
        Engine::migrate(self, now)
    }

    fn check_schema(&mut self) -> Result<(), Failure> {
        Engine::check_schema(self)
    }

    fn has_schema(&mut self) -> Result<bool, Failure> {
        Engine::has_schema(self)
    }

    fn make_views(&mut self) -> Result<(), Failure> {
        Engine::make_views(self)
    }

    fn reconnect(&mut self) -> Result<(), Failure> {
        Engine::reconnect(self)
    }

    fn try_lock(&mut self, name: &str) -> Result<Option<Box<dyn Lock>>, Failure> {
        Engine::try_lock(self, name)
    }
}
