//! Who it was that broke something off which asks the exchange and stores what it hears.

use crate::failure::Failure;

/// A failure, by whose it is: what the exchange does not answer is done without, what the database does not
/// take ends the work.
#[derive(Debug)]
pub(super) enum Broken {
    /// The exchange's.
    Exchange(Failure),
    /// The database's.
    Store(Failure),
}

impl Broken {
    /// The database's, to be passed on; the exchange's is for the caller to judge.
    pub(super) fn of_exchange(self) -> Result<Failure, Failure> {
        match self {
            Broken::Exchange(failure) => Ok(failure),
            Broken::Store(failure) => Err(failure),
        }
    }

    /// The failure, where nothing is stored or whose it is does not matter.
    pub(super) fn into_failure(self) -> Failure {
        let (Broken::Exchange(failure) | Broken::Store(failure)) = self;
        failure
    }
}
