-- name: match_trades
-- A stored trade, and whether it is stored as told here; the block flag came late.
select
    (market_ticker, side, price_e4, quantity_e2, traded_at) = (?3, ?4, ?5, ?6, ?7) as is_same,
    trade_id,
    market_ticker,
    side,
    price_e4,
    quantity_e2,
    traded_at
from "{target}"
where source = ?1 and trade_id = ?2

-- name: insert_trades
-- Stores one trade in "{target}" unless it is stored; the number of changed rows says which.
insert into "{target}" (
    source, trade_id, market_ticker, side, price_e4, quantity_e2, traded_at, is_block_trade, run_id, ingested_at
)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
on conflict (source, trade_id) do nothing

-- name: insert_events
-- The raw event of a trade that insert_trades found new.
insert into raw_kalshi_trade_events (run_id, received_at, market_ticker, trade_id, payload)
values (?1, ?2, ?3, ?4, ?5)

-- name: insert_rejected
-- An event that is no trade, or that contradicts one: kept once with its reason.
insert into raw_kalshi_trade_events (run_id, received_at, market_ticker, trade_id, payload, rejected)
values (?1, ?2, ?3, ?4, ?5, ?6)
on conflict do nothing

-- name: tally_run
-- What a transaction stored, in its run's own row and in the same transaction: a run that is killed
-- afterwards has counted it all the same.
update ingestion_runs
set
    events_ingested = coalesce(events_ingested, 0) + ?2,
    events_duplicate = coalesce(events_duplicate, 0) + ?3,
    events_rejected = coalesce(events_rejected, 0) + ?4,
    events_conflicting = coalesce(events_conflicting, 0) + ?5
where run_id = ?1

-- name: advance_checkpoints
-- Compare and set: a row that another pass changed, or that would move back, stays as it is. ?25
-- says that the claim was found false.
update ingestion_checkpoints
set
    complete_from = ?4,
    complete_until = ?5,
    last_trade_at = ?6,
    last_success_at = ?7,
    walk_from = ?8,
    walk_until = ?9,
    walk_cursor = ?10,
    walk_low = ?11,
    failures = ?12,
    last_error = ?13,
    retired_at = ?14,
    updated_at = ?28,
    checked_until = ?15,
    anchor_at = ?16,
    anchor_id = ?17,
    quiet_until = ?18,
    quiet_run = ?19,
    carried_until = ?20,
    walk_anchor_at = ?21,
    walk_anchor_id = ?22,
    level_at = ?23,
    left_seconds = ?24,
    left_at = ?26,
    footing_at = ?27,
    version = version + 1
where
    source = ?1
    and market_ticker = ?2
    and version = ?3
    and (complete_until is null or complete_until <= ?5 or ?25)

-- name: insert_corrections
insert into claim_corrections
    (source, market_ticker, claim, claimed, proven, reason, run_id, corrected_at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
