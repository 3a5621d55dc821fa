-- name: select_markets
-- Markets selected for the first time: staleness counts from now on.
insert into ingestion_checkpoints (source, market_ticker, first_selected_at, updated_at)
select
    ?1,
    value,
    ?3,
    ?3
from json_each(?2)
where true
on conflict (source, market_ticker) do nothing

-- name: newest_trade
-- The newest trade that any pass has seen, but for nonsense later than ?2.
select max(traded_at) as traded_at
from (
    select max(last_trade_at) as traded_at
    from ingestion_checkpoints
    where source = ?1 and last_trade_at <= ?2
    union all
    select max(newest_at)
    from exchange_records
    where source = ?1 and newest_at <= ?2
)

-- name: load_all_checkpoints
select
    market_ticker, complete_from, complete_until, checked_until, anchor_at, anchor_id, footing_at, quiet_until, quiet_run, carried_until,
    last_trade_at, last_success_at, walk_from, walk_until, walk_cursor, walk_low, walk_anchor_at, walk_anchor_id,
    level_at, left_seconds, left_at, failures, last_error, retired_at, first_selected_at, version
from ingestion_checkpoints
where source = ?1

-- name: load_checkpoints
-- ?2 is a JSON list of tickers: SQLite has no arrays.
select
    market_ticker, complete_from, complete_until, checked_until, anchor_at, anchor_id, footing_at, quiet_until, quiet_run, carried_until,
    last_trade_at, last_success_at, walk_from, walk_until, walk_cursor, walk_low, walk_anchor_at, walk_anchor_id,
    level_at, left_seconds, left_at, failures, last_error, retired_at, first_selected_at, version
from ingestion_checkpoints
where source = ?1 and market_ticker in (select value from json_each(?2))
