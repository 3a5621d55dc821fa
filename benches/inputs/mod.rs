//! The inputs of the measured parts: the same on every machine and in every run.

use std::time::Duration;

use kalshi_ingest::domain::batch::{Batch, Committed};
use kalshi_ingest::domain::checkpoint::Checkpoint;
use kalshi_ingest::domain::evidence::Anchor;
use kalshi_ingest::domain::page::{Page, Rules};
use kalshi_ingest::domain::plan::Outlook;
use kalshi_ingest::domain::scope::Scope;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::domain::venue::TapeRate;
use kalshi_ingest::domain::walk::Walk;
use kalshi_ingest::kalshi;
use kalshi_simulator::{Exchange, Rules as ExchangeRules, seeded_trades};

/// The trades of a page: as many as the exchange gives at once.
pub(crate) const PAGE_TRADES: usize = 1_000;

const NOW_SECONDS: i64 = 1_785_000_000;
const SECOND_US: i64 = 1_000_000;

/// The time of all clocks.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_seconds(NOW_SECONDS)
}

/// The market with this number.
pub(crate) fn market(number: usize) -> Scope {
    Scope::parse(&format!("KXBENCH-26NOV22-{number:05}")).unwrap()
}

/// The markets of a batch.
pub(crate) fn markets(count: usize) -> Vec<Scope> {
    (0..count).map(market).collect()
}

/// One full page of trades of this market, as the exchange serves it.
pub(crate) fn body(market: &Scope) -> Vec<u8> {
    let exchange = Exchange::new(ExchangeRules::default());
    exchange.set_now(NOW_SECONDS * SECOND_US);
    let until_us = (NOW_SECONDS - 60) * SECOND_US;
    let from_us = until_us - 3_600 * SECOND_US;
    exchange.add_all(seeded_trades(1, market.as_str(), PAGE_TRADES, from_us, until_us));
    let target = format!("/trade-api/v2/markets/trades?ticker={market}&limit={PAGE_TRADES}");
    let answer = exchange.ask(&target, Vec::new()).unwrap();
    assert_eq!((answer.status, answer.row_count), (200, PAGE_TRADES));
    answer.body
}

/// The page of this body, decoded.
pub(crate) fn page(body: &[u8], market: &Scope) -> Page {
    let page = kalshi::decode_page(body, market, now()).unwrap();
    assert_eq!((page.events.len(), page.rejected.len()), (PAGE_TRADES, 0));
    page
}

/// The raw events of one page.
pub(crate) fn payloads(market: &Scope) -> Vec<Box<str>> {
    page(&body(market), market).events.into_iter().map(|event| event.payload).collect()
}

/// A page of each of these markets, with the checkpoint that its walk begins at.
pub(crate) fn pages(checkpoints: &[Checkpoint]) -> Vec<(Walk, Page)> {
    let read = |row: &Checkpoint| {
        let page = page(&body(&row.scope), &row.scope);
        (Walk::new(row, Rules::EXACT), page)
    };
    checkpoints.iter().map(read).collect()
}

/// The checkpoints of markets that were never read.
pub(crate) fn unread(markets: &[Scope]) -> Vec<Checkpoint> {
    markets.iter().map(|market| Checkpoint::first(market.clone(), now())).collect()
}

/// The open batch of these pages, and the committed state that it is sealed against.
pub(crate) fn batch(checkpoints: &[Checkpoint]) -> (Batch, Committed) {
    let mut batch = Batch::default();
    for (mut walk, page) in pages(checkpoints) {
        batch.push(walk.page(page));
    }
    assert_eq!(batch.row_count(), checkpoints.len() * PAGE_TRADES);
    (batch, Committed::new(checkpoints.iter().cloned()))
}

/// Checkpoints of markets that were complete within the last two minutes.
pub(crate) fn level(count: usize) -> Vec<Checkpoint> {
    let level = |number: usize| {
        let seconds_ago = i64::try_from(60 + number * 7 % 60).unwrap();
        let at = Timestamp::from_seconds(NOW_SECONDS - seconds_ago);
        let row = Checkpoint::first(market(number), now());
        let anchor = Some(Anchor { at, id: None });
        Checkpoint { complete_until: Some(at), level_at: Some(at), anchor, ..row }
    };
    (0..count).map(level).collect()
}

/// An average evening of the exchange.
pub(crate) fn outlook() -> Outlook {
    Outlook {
        now: now(),
        tape: TapeRate { per_second: 36.0, rows_per_page: 1_000 },
        overlap: Duration::from_secs(120),
        tape_since: now().before(Duration::from_secs(3_600)),
    }
}
