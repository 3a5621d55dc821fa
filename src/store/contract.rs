//! What every store promises. `tests/it/conformance.rs` holds each of them to it.

use super::books::Books;
use super::checkpoints::Checkpoints;
use super::engine::Engine;
use super::exchange::Exchanges;
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
/// * [`commit`](Trades::commit) is one transaction: after any failure, and after a kill at any
///   instant, either all of it is there or nothing.
/// * A trade is stored once, whatever is committed how often; the raw event is stored with the
///   trade's first appearance, a refused event once with its reason, and so an event that
///   contradicts a stored trade: the first version stays.
/// * A checkpoint moves only inside `commit`, only when its row still has the version that the
///   commit was computed from, and `complete_until` moves back only with a correction in the same commit. One that may not move is
///   named in the receipt; the rows of the commit are stored all the same, which is harmless
///   since they are true.
/// * The events of a commit are counted in the run's row in the same transaction.
/// * Errors are [`Kind::StoreUnavailable`](crate::failure::Kind) when the database cannot be
///   reached, [`Kind::StoreInterrupted`](crate::failure::Kind) when it breaks off, and
///   [`Kind::StoreRefused`](crate::failure::Kind) when it says no; none names a password.
pub trait Store:
    Books
    + Checkpoints
    + Exchanges
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
    /// Brings the schema up to this build in one transaction; answers with the names of the
    /// steps applied. A schema newer than the build, or one changed by hand, is refused.
    fn migrate(&mut self, now: Timestamp) -> Result<Vec<&'static str>, Failure>;

    /// Whether the schema is that of this build; if not, who has to do what. Reads only.
    fn check_schema(&mut self) -> Result<(), Failure>;

    /// Whether there is a schema, of whatever build. Reads only.
    fn has_schema(&mut self) -> Result<bool, Failure>;

    /// Connects anew after a [`Kind::StoreInterrupted`](crate::failure::Kind). What was committed is
    /// there, everything else is to be done again.
    fn reconnect(&mut self) -> Result<(), Failure>;

    /// Takes the named lock, or answers `None` when somebody holds it. It is politeness: what
    /// makes overlap harmless is the compare-and-set of `commit`.
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

    fn reconnect(&mut self) -> Result<(), Failure> {
        Engine::reconnect(self)
    }

    fn try_lock(&mut self, name: &str) -> Result<Option<Box<dyn Lock>>, Failure> {
        Engine::try_lock(self, name)
    }
}
