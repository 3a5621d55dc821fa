//! The instant up to which the live tier has shown its trades.

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

/// The age up to which more trades may still join the ones that are shown. Nothing is read again below a finished
/// slice.
pub(super) const SETTLE: Duration = Duration::from_secs(120);
/// The number of questions for the newest trade of the exchange.
const HEADS_MAX: usize = 3;
/// A window that ended longer ago than this is not checked against the newest trade.
const LATELY: Duration = Duration::from_secs(86_400);

/// How much of a window the live tier has shown.
pub(super) struct Shown {
    /// The instant up to which it has shown all trades that it will show.
    pub(super) settled_until: Timestamp,
    /// Whether it has shown a trade above the window.
    pub(super) has_newer: bool,
}

impl Shown {
    /// A window that ends here and was shown completely.
    pub(super) fn above(until: Timestamp) -> Shown {
        Shown { settled_until: until, has_newer: true }
    }
}

/// Finds how much of a window was shown. An exchange without new trades says nothing about the time after its newest
/// trade, and late trades may still join that one. The plausibility of the silence only decides whether it is
/// reported.
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
        // The newest trade is refused to everyone: then each answer is checked against its own date alone.
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

/// The answer to the question for the newest trade of the exchange.
enum Told {
    Shown(Anchor),
    /// The exchange refuses the question.
    Refused,
    /// The newest trade is unknown, for this reason.
    Unknown(String),
}

/// Asks several times: an empty list is no answer, although an exchange may hold no trade, and one refusal may be an
/// accident.
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
