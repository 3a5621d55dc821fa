//! Order books of the markets that trade, a hundred in one request.

use std::collections::BTreeSet;

use super::asker::Asker;
use super::broken::Broken;
use super::list::{self, ByName};
use super::resolve::Resolved;
use crate::domain::book::Snapshot;
use crate::domain::market::Status;
use crate::domain::selection::{Demand, Listed, Selection};
use crate::domain::ticker::Ticker;
use crate::failure::{Failure, Kind};
use crate::kalshi::{MARKETS_PER_REQUEST, MarketList};
use crate::retry::{Jitter, Policy};
use crate::store::Store;

/// The number of books that are stored together, at most some ten megabytes.
const BOOKS_WAITING_MAX: usize = 1_000;

/// The result of taking snapshots.
#[derive(Debug, Default)]
pub struct Taken {
    /// Snapshots stored.
    pub books: usize,
    /// The failures; the kind of each says who has to act.
    pub troubles: Vec<Failure>,
}

/// Stores one snapshot of every market of the selection that trades. A failed request does not stop the others; only a
/// failure of the store ends it.
pub fn take_books(
    selection: &Selection,
    resolved: &Resolved,
    store: &mut dyn Store,
    asker: &Asker,
) -> Result<Taken, Failure> {
    let mut jitter = asker.jitter();
    let mut taken = Taken::default();
    let mut trading = trading(resolved);
    let is_listed = |(_, demand): &(&Ticker, Demand)| demand.listed == Listed::Open;
    let roster = resolved.roster.markets().filter(is_listed);
    let mut open: BTreeSet<Ticker> = roster.map(|(ticker, _)| ticker.clone()).collect();
    taken.troubles.extend(unknown_status(resolved).filter(|_| asker.stopped().is_none()));
    if selection.is_all() {
        let listed = all_open(selection, asker, &mut jitter, &mut taken);
        trading.extend(listed.iter().cloned());
        open.extend(listed);
    }
    let trading: Vec<Ticker> = trading.into_iter().collect();
    let mut waiting = Vec::new();
    for batch in trading.chunks(MARKETS_PER_REQUEST) {
        match asker.ask(&mut jitter, |client, left, clock| client.books(batch, left, clock)) {
            Ok(Some(answer)) => {
                if let Some(reason) = answer.first_unreadable {
                    let message = format!("an order book could not be read: {reason}");
                    taken.troubles.push(Failure::new(Kind::ExchangeUnreadable, message));
                }
                if answer.books.len() < batch.len() {
                    log::debug!("{} of {} books were answered", answer.books.len(), batch.len());
                }
                let (sure, doubtful): (Vec<Snapshot>, Vec<Snapshot>) = answer
                    .books
                    .into_iter()
                    .partition(|book| !book.figures.is_empty() || open.contains(&book.market));
                waiting.extend(sure);
                waiting.extend(still_trading(doubtful, asker, &mut jitter, &mut taken));
            }
            Ok(None) => break,
            Err(failure) => taken.troubles.push(failure),
        }
        if waiting.len() >= BOOKS_WAITING_MAX {
            store.save_books(&waiting)?;
            taken.books += waiting.len();
            waiting.clear();
        }
    }
    if !waiting.is_empty() {
        store.save_books(&waiting)?;
        taken.books += waiting.len();
    }
    Ok(taken)
}

/// Keeps those empty books whose markets trade by a fresh description. The exchange also answers with an empty book
/// for a market that is settled or unknown, and the record of a market may be old.
fn still_trading(
    mut doubtful: Vec<Snapshot>,
    asker: &Asker,
    jitter: &mut Jitter,
    taken: &mut Taken,
) -> Vec<Snapshot> {
    if doubtful.is_empty() {
        return doubtful;
    }
    let names: Vec<Ticker> = doubtful.iter().map(|book| book.market.clone()).collect();
    let said = match list::by_name(asker, jitter, Policy::default().attempts_max, &names) {
        Ok(said) => said.unwrap_or_default(),
        Err(failure) => {
            taken.troubles.push(failure);
            ByName::default()
        }
    };
    let seen = said
        .pages
        .iter()
        .chain(&said.alone)
        .flat_map(|page| &page.markets)
        .map(|seen| &seen.market);
    let trading: BTreeSet<&Ticker> = seen
        .filter(|market| matches!(market.status, Status::Active | Status::Inactive))
        .map(|market| &market.ticker)
        .collect();
    doubtful.retain(|book| trading.contains(&book.market));
    let left_out = names.len() - doubtful.len();
    if left_out > 0 {
        log::info!("{left_out} empty books are left out: their markets do not trade any more");
    }
    doubtful
}

/// The markets that trade; only these are asked for. A market that is settled or unknown has an empty book, which
/// would look like a market without a bid.
fn trading(resolved: &Resolved) -> BTreeSet<Ticker> {
    let trades = |ticker: &Ticker, listed: Listed| {
        let status = resolved.known.get(ticker).map(|known| &known.status);
        listed == Listed::Open || matches!(status, Some(Status::Active | Status::Inactive))
    };
    let roster = resolved.roster.markets();
    roster.filter(|(t, demand)| trades(t, demand.listed)).map(|(t, _)| t.clone()).collect()
}

/// A failure when the exchange has not yet said of some markets whether they trade.
fn unknown_status(resolved: &Resolved) -> Option<Failure> {
    let is_unknown = |(ticker, listed): (&Ticker, Listed)| {
        listed != Listed::Open && !resolved.known.contains_key(ticker)
    };
    let roster = resolved.roster.markets().map(|(ticker, demand)| (ticker, demand.listed));
    let unknown: Vec<(&Ticker, Listed)> = roster.filter(|of| is_unknown(*of)).collect();
    let (first, _) = unknown.first()?;
    let more = match unknown.len() - 1 {
        0 => String::new(),
        more => format!(" and of {more} more markets"),
    };
    let message = format!(
        "no order book of {first}{more}: the exchange did not say whether it trades; try again later"
    );
    Some(Failure::new(Kind::ExchangeUnavailable, message))
}

/// All open markets of the exchange.
fn all_open(
    selection: &Selection,
    asker: &Asker,
    jitter: &mut Jitter,
    taken: &mut Taken,
) -> BTreeSet<Ticker> {
    let mut open = BTreeSet::new();
    let list = MarketList { status: Some("open"), ..MarketList::ALL };
    let attempts_max = Policy::default().attempts_max;
    let listing = list::each_page(asker, jitter, attempts_max, &list, &mut |page| {
        open.extend(page.tickers.into_iter().filter(|ticker| selection.shard().holds(ticker)));
        Ok(())
    });
    taken.troubles.extend(listing.err().map(Broken::into_failure));
    open
}
