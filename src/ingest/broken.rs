//! The two failures of an operation that asks the exchange and stores its answers: the exchange's and the database's.

use crate::failure::Failure;

/// A failure, by the side that failed: an operation continues without the exchange's answer, but a failure of the
/// database ends it.
#[derive(Debug)]
pub(super) enum Broken {
    /// The exchange failed.
    Exchange(Failure),
    /// The database failed.
    Store(Failure),
}

impl Broken {
    /// Returns the exchange's failure, for the caller to judge. A failure of the database becomes the error.
    pub(super) fn of_exchange(self) -> Result<Failure, Failure> {
        match self {
            Broken::Exchange(failure) => Ok(failure),
            Broken::Store(failure) => Err(failure),
        }
    }

    /// The failure, for callers that store nothing or need not know which side failed.
    pub(super) fn into_failure(self) -> Failure {
        let (Broken::Exchange(failure) | Broken::Store(failure)) = self;
        failure
    }
}
