//! The exit statuses: the contract with cron and `podFailurePolicy`.

use crate::failure::{Failure, Kind};

/// The ways in which the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Every selected market is within its SLA.
    Ok,
    /// An error that no code foresaw.
    Bug,
    /// A wrong flag, variable, file or URL.
    Usage,
    /// At least one market breaches its staleness SLA.
    Stale,
    /// The exchange refused, or sent an answer that cannot be decoded.
    Exchange,
    /// The database could not be reached, or it refused.
    Database,
    /// A backfill is not complete yet, or a score is too low. Progress is kept.
    Incomplete,
    /// SIGINT ended the program after its current batch.
    Interrupted,
    /// SIGTERM ended the program after its current batch.
    Terminated,
}

impl Exit {
    /// All exit statuses; `docs/reference.md` lists each.
    pub const ALL: [Exit; 9] = [
        Exit::Ok,
        Exit::Bug,
        Exit::Usage,
        Exit::Stale,
        Exit::Exchange,
        Exit::Database,
        Exit::Incomplete,
        Exit::Interrupted,
        Exit::Terminated,
    ];

    /// The number that the scheduler sees.
    pub fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Bug => 1,
            Exit::Usage => 2,
            Exit::Stale => 3,
            Exit::Exchange => 4,
            Exit::Database => 5,
            Exit::Incomplete => 6,
            Exit::Interrupted => 130,
            Exit::Terminated => 143,
        }
    }

    /// The exit status when a failure of this kind occurred. An exchange that is only unavailable is no reason by
    /// itself: the SLA decides.
    pub fn of_kind(kind: Kind) -> Exit {
        match kind {
            Kind::Config => Exit::Usage,
            Kind::ExchangeUnavailable => Exit::Ok,
            Kind::ExchangeForbids | Kind::ExchangeRefused | Kind::ExchangeUnreadable => {
                Exit::Exchange
            }
            Kind::StoreUnavailable | Kind::StoreInterrupted | Kind::StoreRefused => Exit::Database,
        }
    }

    /// The exit status of an error that ended the program; an error without a kind is a bug.
    pub fn of_error(error: &anyhow::Error) -> Exit {
        match error.downcast_ref::<Failure>().map(|failure| Exit::of_kind(failure.kind)) {
            Some(Exit::Ok) => Exit::Exchange,
            Some(exit) => exit,
            None => Exit::Bug,
        }
    }

    /// The exit status after a signal.
    pub fn of_signal(number: u8) -> Exit {
        if number == 2 { Exit::Interrupted } else { Exit::Terminated }
    }

    /// The one status of several that is reported, in the order of who must act first.
    pub fn first(exits: impl IntoIterator<Item = Exit>) -> Exit {
        exits.into_iter().min_by_key(|exit| exit.rank()).unwrap_or(Exit::Ok)
    }

    fn rank(self) -> u8 {
        match self {
            Exit::Interrupted | Exit::Terminated => 0,
            Exit::Usage => 1,
            Exit::Database => 2,
            Exit::Stale => 3,
            Exit::Exchange => 4,
            Exit::Incomplete => 5,
            Exit::Bug => 6,
            Exit::Ok => 7,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> std::process::ExitCode {
        std::process::ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_several_is_the_one_to_act_on() {
        let order =
            [Exit::Usage, Exit::Database, Exit::Stale, Exit::Exchange, Exit::Incomplete, Exit::Ok];
        for (at, exit) in order.into_iter().enumerate() {
            assert_eq!(Exit::first(order[at..].iter().rev().copied()), exit);
        }
        assert_eq!(Exit::first([]), Exit::Ok);
    }

    #[test]
    fn an_error_ends_with_the_status_of_its_kind() {
        let refused = anyhow::Error::new(Failure::new(Kind::StoreRefused, "no")).context("storing");
        assert_eq!(Exit::of_error(&refused), Exit::Database, "context does not hide it");
        let down = anyhow::Error::new(Failure::new(Kind::ExchangeUnavailable, "gone"));
        assert_eq!(Exit::of_error(&down), Exit::Exchange, "an end by error is never a success");
        assert_eq!(Exit::of_error(&anyhow::anyhow!("what?")), Exit::Bug);
    }

    #[test]
    fn codes_are_distinct() {
        let mut codes = Exit::ALL.map(Exit::code);
        codes.sort_unstable();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "{codes:?}");
    }
}
