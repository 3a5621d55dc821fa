-- name: select_markets
-- Markets selected for the first time: staleness counts from now on.
insert into ingestion_checkpoints (source, market_ticker, first_selected_at, updated_at)
select
    $1,
    market_ticker,
    $3,
    $3
from unnest($2::text[]) as t (market_ticker)
on conflict (source, market_ticker) do nothing

-- name: newest_trade
-- The newest trade that any pass has seen, but for nonsense later than $2.
select max(traded_at) as traded_at
from (
    select max(last_trade_at) as traded_at
    from ingestion_checkpoints
    where source = $1 and last_trade_at <= $2
    union all
    select max(newest_at)
    from exchange_records
    where source = $1 and newest_at <= $2
) as t

-- name: report_markets
-- What `status` shows: each checkpoint with the trades stored for its market; the tape's are
-- those of every market.
select
    c.market_ticker, c.complete_from, c.complete_until, c.checked_until, c.anchor_at, c.anchor_id, c.footing_at, c.quiet_until, c.quiet_run, c.carried_until,
    c.last_trade_at, c.last_success_at, c.walk_from, c.walk_until, c.walk_cursor, c.walk_low, c.walk_anchor_at, c.walk_anchor_id,
    c.level_at, c.left_seconds, c.left_at, c.failures, c.last_error, c.retired_at,
    c.first_selected_at, c.version,
    case c.market_ticker
        when '*' then (select count(*) from prediction_market_trades t where t.source = $1)
        else (
            select count(*) from prediction_market_trades t
            where t.market_ticker = c.market_ticker and t.source = c.source
        )
    end as trades_total,
    case c.market_ticker
        when '*' then (select count(*) from prediction_market_trades t where t.source = $1 and t.traded_at > $2)
        else (
            select count(*) from prediction_market_trades t
            where t.market_ticker = c.market_ticker and t.source = c.source and t.traded_at > $2
        )
    end as trades_last_hour
from ingestion_checkpoints c
where c.source = $1
order by c.market_ticker

-- name: load_checkpoints
select
    market_ticker, complete_from, complete_until, checked_until, anchor_at, anchor_id, footing_at, quiet_until, quiet_run, carried_until,
    last_trade_at, last_success_at, walk_from, walk_until, walk_cursor, walk_low, walk_anchor_at, walk_anchor_id,
    level_at, left_seconds, left_at, failures, last_error, retired_at, first_selected_at, version
from ingestion_checkpoints
where source = $1 and market_ticker = any ($2::text[])
