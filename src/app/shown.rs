//! Up to where the live tier has shown what it holds.

use std::time::Duration;

use super::memory::{self, Memory};
use super::say;
use crate::domain::evidence::Anchor;
use crate::domain::time::Timestamp;
use crate::driver::Verdict;
use crate::failure::{Failure, one_line};
use crate::ingest::Asker;
use crate::store::{ExchangeKey, Store};
use crate::words;

/// Trades so young may still be joined by others; nothing is read again below a finished slice.
pub(super) const SETTLE: Duration = Duration::from_secs(120);
/// How often the newest trade of the exchange is asked for.
const HEADS_MAX: usize = 3;
/// A window that ended longer ago is not held against the newest trade.
const LATELY: Duration = Duration::from_secs(86_400);

/// How far up the live tier has shown what it holds.
pub(super) struct Shown {
    /// Up to here it has shown all that it will.
    pub(super) settled_until: Timestamp,
    /// Whether it has shown a trade from above the window.
    pub(super) has_newer: bool,
}

impl Shown {
    /// All of a window that ends here.
    pub(super) fn above(until: Timestamp) -> Shown {
        Shown { settled_until: until, has_newer: true }
    }
}

/// How far it has shown a window: an exchange that stands still says nothing of what comes after its newest trade, and
/// late trades may still join that one. Whether its silence is plausible decides only whether that is told.
pub(super) fn shown_until(
    (from, until): (Timestamp, Timestamp),
    key: &ExchangeKey,
    asker: &Asker,
    store: &mut dyn Store,
    verdict: &mut Verdict,
) -> Result<Shown, Failure> {
    if asker.exchange_now().since(until) > LATELY {
        return Ok(Shown::above(until));
    }
    let now = asker.budget().clock().now();
    let mut memory = Memory::load(key.clone(), store, asker, now)?.by_the_minute();
    let head = match (ask_for_head(asker), memory.newest()) {
        (Told::Shown(newest), _) => newest,
        (Told::Refused | Told::Unknown(_), Some(newest)) => newest.clone(),
        // Nobody is told: then each answer is held against its own date alone.
        (Told::Refused, None) => return Ok(Shown::above(until)),
        (Told::Unknown(why), None) => {
            say(verdict.incomplete(&format!("{why}; run it again later")));
            return Ok(Shown { settled_until: from, has_newer: false });
        }
    };
    let (newest, settled_until) = (head.at, head.at.before(SETTLE).floor());
    if until <= newest {
        return Ok(Shown { settled_until: until.min(settled_until), has_newer: true });
    }
    if !memory.judge_silence(memory::Head::Shown(head), None, true, asker, now) {
        let newest = words::second(newest.floor());
        let message = format!("the exchange shows no trade after {newest}; run it again later");
        say(verdict.incomplete(&message));
    }
    Ok(Shown { settled_until, has_newer: false })
}

/// The newest trade of the exchange, as far as it is told.
enum Told {
    Shown(Anchor),
    /// Nobody is told.
    Refused,
    /// It was not found out, for this reason.
    Unknown(String),
}

/// An empty list is no answer, but there may be exchanges where there is nothing; and one refusal may be a slip.
fn ask_for_head(asker: &Asker) -> Told {
    let mut jitter = asker.jitter();
    let mut head = Told::Refused;
    for _ in 0..HEADS_MAX {
        match asker.ask_apart(&mut jitter, |client, left, clock| client.head(left, clock)) {
            Ok(Some(page)) => match page.newest() {
                Some(newest) => return Told::Shown(newest),
                None => head = Told::Unknown("the exchange shows no trade at all".to_owned()),
            },
            Ok(None) => {
                let why = "there was no time left to ask for the exchange's newest trade";
                return Told::Unknown(why.to_owned());
            }
            Err(failure) if failure.kind.is_refusal() => {}
            Err(failure) => {
                let why = one_line(&failure);
                return Told::Unknown(format!("the exchange's newest trade is not known: {why}"));
            }
        }
    }
    head
}
