//! What a commit writes in PostgreSQL: one array a column.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use postgres::types::Type;
use postgres::{Error, Row};

use super::history;
use super::rows::Instants;
use super::transaction::Transaction;
use crate::domain::batch::{CheckpointUpdate, Commit, Receipt};
use crate::domain::checkpoint::{Checkpoint, Correction};
use crate::domain::evidence::Anchor;
use crate::domain::time::Timestamp;
use crate::domain::trade::{Rejected, SOURCE, Side, Ticker};

/// Everything a commit writes, inside the caller's transaction.
pub(super) fn write(
    transaction: &mut Transaction<'_>,
    run: i64,
    commit: &Commit,
) -> Result<Receipt, Error> {
    let now = commit.now().to_chrono();
    let mut receipt = Receipt::default();
    if !commit.rows().is_empty() {
        receipt.inserted = insert_trades(transaction, run, now, commit)?;
        insert_events(transaction, run, now, commit, &receipt.inserted)?;
    }
    if !commit.rejected().is_empty() {
        receipt.rejected = insert_rejected(transaction, run, now, commit)?;
    }
    if !commit.checkpoints().is_empty() {
        receipt.overtaken = advance(transaction, now, commit)?;
        insert_corrections(transaction, run, now, commit, &receipt.overtaken)?;
    }
    if !commit.slices().is_empty() {
        history::advance(transaction, commit, now, &receipt.inserted)?;
    }
    if commit.offered() + receipt.rejected.len() > 0 {
        let counts = commit.counts(&receipt);
        transaction.execute_typed(
            include_str!("../../../sql/postgres/tally_run.sql"),
            &[
                (&run, Type::INT8),
                (&counts[0], Type::INT8),
                (&counts[1], Type::INT8),
                (&counts[2], Type::INT8),
            ],
        )?;
    }
    Ok(receipt)
}

/// Answers with the positions of the rows that were new.
fn insert_trades(
    transaction: &mut Transaction<'_>,
    run: i64,
    now: DateTime<Utc>,
    commit: &Commit,
) -> Result<Vec<usize>, Error> {
    let trades = || commit.rows().iter().map(|row| &row.event.trade);
    let ids: Vec<&str> = trades().map(|trade| &*trade.trade_id).collect();
    let markets: Vec<&str> = trades().map(|trade| trade.market.as_str()).collect();
    let is_yes: Vec<bool> = trades().map(|trade| trade.side == Side::Yes).collect();
    let prices: Vec<i32> = trades().map(|trade| trade.price.e4_cents()).collect();
    let quantities: Vec<i64> = trades().map(|trade| trade.quantity.e2()).collect();
    let times: Vec<DateTime<Utc>> = trades().map(|trade| trade.traded_at.to_chrono()).collect();
    let blocks: Vec<Option<bool>> = trades().map(|trade| trade.is_block_trade).collect();
    let answer = transaction.query_typed_one(
        include_str!("../../../sql/postgres/insert_trades.sql"),
        &[
            (&SOURCE, Type::TEXT),
            (&ids, Type::TEXT_ARRAY),
            (&markets, Type::TEXT_ARRAY),
            (&is_yes, Type::BOOL_ARRAY),
            (&prices, Type::INT4_ARRAY),
            (&quantities, Type::INT8_ARRAY),
            (&times, Type::TIMESTAMPTZ_ARRAY),
            (&blocks, Type::BOOL_ARRAY),
            (&run, Type::INT8),
            (&now, Type::TIMESTAMPTZ),
        ],
    )?;
    let Some(inserted) = answer.get::<_, Option<Vec<&str>>>(0) else {
        return Ok((0..ids.len()).collect());
    };
    let mut positions: Vec<usize> =
        inserted.iter().filter_map(|id| ids.binary_search(id).ok()).collect();
    positions.sort_unstable();
    Ok(positions)
}

fn insert_events(
    transaction: &mut Transaction<'_>,
    run: i64,
    now: DateTime<Utc>,
    commit: &Commit,
    inserted: &[usize],
) -> Result<(), Error> {
    if inserted.is_empty() {
        return Ok(());
    }
    let events = || inserted.iter().map(|at| &commit.rows()[*at].event);
    let markets: Vec<&str> = events().map(|event| event.trade.market.as_str()).collect();
    let ids: Vec<&str> = events().map(|event| &*event.trade.trade_id).collect();
    let payloads: Vec<&str> = events().map(|event| &*event.payload).collect();
    transaction.execute_typed(
        include_str!("../../../sql/postgres/insert_events.sql"),
        &[
            (&run, Type::INT8),
            (&now, Type::TIMESTAMPTZ),
            (&markets, Type::TEXT_ARRAY),
            (&ids, Type::TEXT_ARRAY),
            (&payloads, Type::TEXT_ARRAY),
        ],
    )?;
    Ok(())
}

/// Answers with the positions of the events that were not kept before.
fn insert_rejected(
    transaction: &mut Transaction<'_>,
    run: i64,
    now: DateTime<Utc>,
    commit: &Commit,
) -> Result<Vec<usize>, Error> {
    let events = || commit.rejected().iter();
    let markets: Vec<&str> = events().map(|event| event.market.as_str()).collect();
    let ids: Vec<Option<&str>> = events().map(|event| event.trade_id.as_deref()).collect();
    let payloads: Vec<&str> = events().map(|event| &*event.payload).collect();
    let reasons: Vec<&str> = events().map(|event| event.reason.as_str()).collect();
    let kept = transaction.query_typed(
        include_str!("../../../sql/postgres/insert_rejected.sql"),
        &[
            (&run, Type::INT8),
            (&now, Type::TIMESTAMPTZ),
            (&markets, Type::TEXT_ARRAY),
            (&ids, Type::TEXT_ARRAY),
            (&payloads, Type::TEXT_ARRAY),
            (&reasons, Type::TEXT_ARRAY),
        ],
    )?;
    let position = |row: &Row| {
        let (market, payload): (&str, &str) = (row.get(0), row.get(1));
        let key =
            |event: &Rejected| (event.market.as_str(), &*event.payload).cmp(&(market, payload));
        commit.rejected().binary_search_by(key).ok()
    };
    Ok(kept.iter().filter_map(position).collect())
}

/// Answers with the markets whose row did not take the update.
fn advance(
    transaction: &mut Transaction<'_>,
    now: DateTime<Utc>,
    commit: &Commit,
) -> Result<Vec<Ticker>, Error> {
    let updates = commit.checkpoints();
    let nexts = || updates.iter().map(CheckpointUpdate::next);
    let walks = || nexts().map(|next| next.walk.as_ref());
    let instants = |field: fn(&Checkpoint) -> Option<Timestamp>| -> Instants {
        nexts().map(|next| field(next).map(Timestamp::to_chrono)).collect()
    };
    let markets: Vec<&str> = nexts().map(|next| next.market.as_str()).collect();
    let versions: Vec<i64> = updates.iter().map(CheckpointUpdate::expected_version).collect();
    let cursors: Vec<Option<&str>> =
        walks().map(|walk| walk.and_then(|walk| walk.cursor.as_deref())).collect();
    let id = |anchor: Option<&'_ Anchor>| anchor.and_then(|anchor| anchor.id.clone());
    let anchors: Vec<Option<Box<str>>> = nexts().map(|next| id(next.anchor.as_ref())).collect();
    let walk_anchors: Vec<Option<Box<str>>> =
        walks().map(|walk| id(walk.and_then(|walk| walk.anchor.as_ref()))).collect();
    let quiet_runs: Vec<Option<i64>> = nexts().map(|next| Some(next.quiet?.run)).collect();
    let spans_left: Vec<Option<f64>> =
        nexts().map(|next| Some(next.left?.span.as_secs_f64())).collect();
    let lowered: Vec<bool> = updates.iter().map(CheckpointUpdate::is_lowered).collect();
    let failures: Vec<i32> =
        nexts().map(|next| i32::try_from(next.failures).unwrap_or(i32::MAX)).collect();
    let errors: Vec<Option<&str>> = nexts().map(|next| next.last_error.as_deref()).collect();
    let moved = transaction.query_typed(
        include_str!("../../../sql/postgres/advance_checkpoints.sql"),
        &[
            (&SOURCE, Type::TEXT),
            (&markets, Type::TEXT_ARRAY),
            (&versions, Type::INT8_ARRAY),
            (&instants(|next| next.complete_from), Type::TIMESTAMPTZ_ARRAY),
            (&instants(|next| next.complete_until), Type::TIMESTAMPTZ_ARRAY),
            (&instants(|next| next.last_trade_at), Type::TIMESTAMPTZ_ARRAY),
            (&instants(|next| next.last_success_at), Type::TIMESTAMPTZ_ARRAY),
            (&instants(|next| next.walk.as_ref()?.window.from()), Type::TIMESTAMPTZ_ARRAY),
            (&instants(|next| Some(next.walk.as_ref()?.window.until())), Type::TIMESTAMPTZ_ARRAY),
            (&cursors, Type::TEXT_ARRAY),
            (&instants(|next| next.walk.as_ref()?.low), Type::TIMESTAMPTZ_ARRAY),
            (&failures, Type::INT4_ARRAY),
            (&errors, Type::TEXT_ARRAY),
            (&instants(|next| next.retired_at), Type::TIMESTAMPTZ_ARRAY),
            (&now, Type::TIMESTAMPTZ),
            (&instants(|next| next.checked_until), Type::TIMESTAMPTZ_ARRAY),
            (&instants(|next| Some(next.anchor.as_ref()?.at)), Type::TIMESTAMPTZ_ARRAY),
            (&anchors, Type::TEXT_ARRAY),
            (&instants(|next| Some(next.quiet?.until)), Type::TIMESTAMPTZ_ARRAY),
            (&quiet_runs, Type::INT8_ARRAY),
            (&instants(|next| next.carried_until), Type::TIMESTAMPTZ_ARRAY),
            (
                &instants(|next| Some(next.walk.as_ref()?.anchor.as_ref()?.at)),
                Type::TIMESTAMPTZ_ARRAY,
            ),
            (&walk_anchors, Type::TEXT_ARRAY),
            (&instants(|next| next.level_at), Type::TIMESTAMPTZ_ARRAY),
            (&spans_left, Type::FLOAT8_ARRAY),
            (&lowered, Type::BOOL_ARRAY),
            (&instants(|next| Some(next.left?.since)), Type::TIMESTAMPTZ_ARRAY),
            (&instants(|next| next.footing), Type::TIMESTAMPTZ_ARRAY),
        ],
    )?;
    let moved: HashSet<&str> = moved.iter().map(|row| row.get(0)).collect();
    let is_left = |next: &&Checkpoint| !moved.contains(next.market.as_str());
    Ok(nexts().filter(is_left).map(|next| next.market.clone()).collect())
}

/// Records what was found false, of the checkpoints that took the update.
fn insert_corrections(
    transaction: &mut Transaction<'_>,
    run: i64,
    now: DateTime<Utc>,
    commit: &Commit,
    overtaken: &[Ticker],
) -> Result<(), Error> {
    let is_moved = |update: &&CheckpointUpdate| !overtaken.contains(&update.next().market);
    let rows: Vec<(&Ticker, &Correction)> = commit
        .checkpoints()
        .iter()
        .filter(is_moved)
        .flat_map(|update| update.corrections().iter().map(|row| (&update.next().market, row)))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let markets: Vec<&str> = rows.iter().map(|(market, _)| market.as_str()).collect();
    let claims: Vec<&str> = rows.iter().map(|(_, row)| row.claim.as_str()).collect();
    let claimed: Vec<DateTime<Utc>> = rows.iter().map(|(_, row)| row.claimed.to_chrono()).collect();
    let proven: Instants =
        rows.iter().map(|(_, row)| row.proven.map(Timestamp::to_chrono)).collect();
    let reasons: Vec<&str> = rows.iter().map(|(_, row)| row.reason).collect();
    transaction.execute_typed(
        include_str!("../../../sql/postgres/insert_corrections.sql"),
        &[
            (&SOURCE, Type::TEXT),
            (&markets, Type::TEXT_ARRAY),
            (&claims, Type::TEXT_ARRAY),
            (&claimed, Type::TIMESTAMPTZ_ARRAY),
            (&proven, Type::TIMESTAMPTZ_ARRAY),
            (&reasons, Type::TEXT_ARRAY),
            (&run, Type::INT8),
            (&now, Type::TIMESTAMPTZ),
        ],
    )?;
    Ok(())
}
