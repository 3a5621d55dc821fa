//! Markets as seen, and as not seen any more.

use rusqlite::{Result, params};

use super::rows::text;
use super::transaction::Transaction;
use crate::domain::market::{Absence, Sighting};
use crate::domain::trade::{Price, SOURCE};
use crate::store::catalogue::storable;

/// Stores the sightings; answers with how many of them are a change of status.
pub(super) fn see(transaction: &Transaction<'_>, seen: &[Sighting], now: &str) -> Result<usize> {
    let mut insert =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/insert_changes.sql"))?;
    let mut store =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/store_markets.sql"))?;
    let mut touch =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/touch_markets.sql"))?;
    let mut changed = 0;
    for Sighting { market, seen_at } in seen {
        let (ticker, seen_at) = (market.ticker.as_str(), seen_at.to_string());
        let status = storable(market.status.as_str());
        changed += insert.execute(params![SOURCE, ticker, status, seen_at, now])?;
        let stored = store.execute(params![
            SOURCE,
            ticker,
            storable(&market.event),
            market.series.as_deref().map(storable),
            market.title.as_deref().map(storable),
            status,
            market.result.as_deref().map(storable),
            text(market.open_time),
            text(market.close_time),
            text(market.expected_expiration_time),
            text(market.latest_expiration_time),
            text(market.settlement_time),
            market.settlement_value.map(Price::e4_cents),
            market.volume_e2,
            market.price_level_structure.as_deref().map(storable),
            &*market.payload,
            seen_at,
            market.status.is_over(),
            now,
        ])?;
        if stored == 0 {
            touch.execute(params![SOURCE, ticker, seen_at, now])?;
        }
    }
    Ok(changed)
}

/// Notes the absences; answers with how many of them are a change of status.
pub(super) fn miss(transaction: &Transaction<'_>, absent: &[Absence], now: &str) -> Result<usize> {
    let mut vanishings =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/insert_vanishings.sql"))?;
    let mut vanish =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/vanish_markets.sql"))?;
    let mut note =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/note_absences.sql"))?;
    let mut vanished = 0;
    for absence in absent {
        let parameters = params![SOURCE, absence.ticker.as_str(), now];
        if absence.is_believed {
            vanished += vanishings.execute(parameters)?;
            vanish.execute(parameters)?;
        }
        note.execute(parameters)?;
    }
    Ok(vanished)
}
