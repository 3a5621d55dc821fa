//! Markets as seen, and as not seen any more.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use postgres::Error;
use postgres::types::{ToSql, Type};

use super::rows::Instants;
use super::transaction::Transaction;
use crate::domain::market::{Absence, Market, Sighting};
use crate::domain::time::Timestamp;
use crate::domain::trade::{Price, SOURCE};
use crate::store::catalogue::storable;

/// Stores the sightings; answers with how many of them are a change of status.
pub(super) fn see(
    transaction: &mut Transaction<'_>,
    seen: &[Sighting],
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let markets = || seen.iter().map(|sighting| &sighting.market);
    let tickers: Vec<&str> = markets().map(|market| market.ticker.as_str()).collect();
    let statuses: Vec<Cow<'_, str>> =
        markets().map(|market| storable(market.status.as_str())).collect();
    let seen_at: Vec<DateTime<Utc>> =
        seen.iter().map(|sighting| sighting.seen_at.to_chrono()).collect();
    let changed = transaction.execute_typed(
        include_str!("../../../sql/postgres/insert_changes.sql"),
        &[
            (&SOURCE, Type::TEXT),
            (&tickers, Type::TEXT_ARRAY),
            (&statuses, Type::TEXT_ARRAY),
            (&seen_at, Type::TIMESTAMPTZ_ARRAY),
            (&now, Type::TIMESTAMPTZ),
        ],
    )?;
    let stored = store(transaction, seen, (&tickers, &statuses, &seen_at), now)?;
    if stored < u64::try_from(seen.len()).unwrap_or(u64::MAX) {
        transaction.execute_typed(
            include_str!("../../../sql/postgres/touch_markets.sql"),
            &[
                (&SOURCE, Type::TEXT),
                (&tickers, Type::TEXT_ARRAY),
                (&seen_at, Type::TIMESTAMPTZ_ARRAY),
                (&now, Type::TIMESTAMPTZ),
            ],
        )?;
    }
    Ok(changed)
}

/// Answers with how many sightings were not older than what was on record.
fn store(
    transaction: &mut Transaction<'_>,
    seen: &[Sighting],
    (tickers, statuses, seen_at): (&[&str], &[Cow<'_, str>], &[DateTime<Utc>]),
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let markets = || seen.iter().map(|sighting| &sighting.market);
    let words = |field: fn(&Market) -> Option<&str>| -> Vec<Option<Cow<'_, str>>> {
        markets().map(|market| field(market).map(storable)).collect()
    };
    let instants = |field: fn(&Market) -> Option<Timestamp>| -> Instants {
        markets().map(|market| field(market).map(Timestamp::to_chrono)).collect()
    };
    let values: Vec<Option<i32>> =
        markets().map(|market| market.settlement_value.map(Price::e4_cents)).collect();
    let volumes: Vec<Option<i64>> = markets().map(|market| market.volume_e2).collect();
    let payloads: Vec<&str> = markets().map(|market| &*market.payload).collect();
    let is_over: Vec<bool> = markets().map(|market| market.status.is_over()).collect();
    transaction.execute_typed(
        include_str!("../../../sql/postgres/store_markets.sql"),
        &[
            (&SOURCE, Type::TEXT),
            (&tickers, Type::TEXT_ARRAY),
            (&words(|market| Some(&market.event)), Type::TEXT_ARRAY),
            (&words(|market| market.series.as_deref()), Type::TEXT_ARRAY),
            (&words(|market| market.title.as_deref()), Type::TEXT_ARRAY),
            (&statuses, Type::TEXT_ARRAY),
            (&words(|market| market.result.as_deref()), Type::TEXT_ARRAY),
            (&instants(|market| market.open_time), Type::TIMESTAMPTZ_ARRAY),
            (&instants(|market| market.close_time), Type::TIMESTAMPTZ_ARRAY),
            (&instants(|market| market.expected_expiration_time), Type::TIMESTAMPTZ_ARRAY),
            (&instants(|market| market.latest_expiration_time), Type::TIMESTAMPTZ_ARRAY),
            (&instants(|market| market.settlement_time), Type::TIMESTAMPTZ_ARRAY),
            (&values, Type::INT4_ARRAY),
            (&volumes, Type::INT8_ARRAY),
            (&words(|market| market.price_level_structure.as_deref()), Type::TEXT_ARRAY),
            (&payloads, Type::TEXT_ARRAY),
            (&seen_at, Type::TIMESTAMPTZ_ARRAY),
            (&is_over, Type::BOOL_ARRAY),
            (&now, Type::TIMESTAMPTZ),
        ],
    )
}

/// Notes the absences; answers with how many of them are a change of status.
pub(super) fn miss(
    transaction: &mut Transaction<'_>,
    absent: &[Absence],
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let tickers = |is_wanted: fn(&Absence) -> bool| -> Vec<&str> {
        let wanted = absent.iter().filter(|absence| is_wanted(absence));
        wanted.map(|absence| absence.ticker.as_str()).collect()
    };
    let mut update = |sql: &str, tickers: &[&str]| {
        let parameters: [(&(dyn ToSql + Sync), Type); 3] =
            [(&SOURCE, Type::TEXT), (&tickers, Type::TEXT_ARRAY), (&now, Type::TIMESTAMPTZ)];
        transaction.execute_typed(sql, &parameters)
    };
    let believed = tickers(|absence| absence.is_believed);
    let vanished = update(include_str!("../../../sql/postgres/insert_vanishings.sql"), &believed)?;
    update(include_str!("../../../sql/postgres/vanish_markets.sql"), &believed)?;
    update(include_str!("../../../sql/postgres/note_absences.sql"), &tickers(|_| true))?;
    Ok(vanished)
}
