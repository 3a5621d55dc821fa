-- name: load_members
-- Markets by series, event, name or none of these; also those of which only trades are stored.
with wanted as (
    select market_ticker
    from prediction_markets
    where
        source = $1
        and $4::text[] is null
        and ($2::text is null or series_ticker = $2)
        and ($3::text is null or event_ticker = $3)
    union
    select market_ticker
    from trade_counts
    where source = $1 and $2::text is null and $3::text is null and $4::text[] is null
    union
    select market_ticker collate "C"
    from unnest($4::text[]) as t (market_ticker)
)
select w.market_ticker, coalesce(m.series_ticker, e.series_ticker) as series_ticker, m.open_time, m.close_time
from wanted w
left join prediction_markets m on m.source = $1 and m.market_ticker = w.market_ticker
left join prediction_events e on e.source = $1 and e.event_ticker = m.event_ticker
order by w.market_ticker

-- name: load_window_scores
-- Of each market and window the latest.
with wanted as materialized (
    select distinct market_ticker collate "C" as market_ticker
    from unnest($2::text[]) as t (market_ticker)
)
select distinct on (s.market_ticker, s.window_from, s.window_until)
    s.market_ticker,
    s.window_from,
    s.window_until,
    (s.stored_quantity * 100)::bigint as stored_e2,
    (s.exchange_quantity * 100)::bigint as exchange_e2,
    s.score,
    s.scored_at
from wanted w
join completeness_scores s on s.market_ticker = w.market_ticker
where s.source = $1
order by s.market_ticker, s.window_from, s.window_until, s.scored_at desc, s.score_id desc

-- name: load_lowered
with wanted as materialized (
    select distinct market_ticker collate "C" as market_ticker
    from unnest($2::text[]) as t (market_ticker)
)
select c.market_ticker, c.claim, c.claimed, c.proven, c.corrected_at
from wanted w
join claim_corrections c on c.market_ticker = w.market_ticker
where c.source = $1 and c.claim in ('complete_until', 'complete_from')
order by c.correction_id

-- name: count_trades
-- `is true`: not through the index of the key, which begins with the source.
select
    market_ticker,
    date_trunc('day', traded_at, 'UTC') as day,
    count(*) as row_count,
    (sum(quantity) * 100)::bigint as contracts_e2,
    max(ingested_at) as newest,
    null::bigint as first_number,
    null::bigint as last_number
from prediction_market_trades
where (source = $1) is true and market_ticker = any ($2::text[]) and traded_at >= $3 and traded_at < $4
group by market_ticker, day

-- name: read_trades
select
    market_ticker,
    trade_id,
    traded_at,
    side,
    price,
    case side when 'yes' then price else 100 - price end as yes_price,
    quantity,
    is_block_trade,
    ingested_at
from prediction_market_trades
where (source = $1) is true and market_ticker = any ($2::text[]) and traded_at >= $3 and traded_at < $4
order by market_ticker, traded_at, trade_id

-- name: count_markets
-- One row for each market whose life may touch the span.
select
    market_ticker,
    date_trunc('day', updated_at, 'UTC') as day,
    1::bigint as row_count,
    (coalesce(volume, 0) * 100)::bigint as contracts_e2,
    updated_at as newest,
    null::bigint as first_number,
    null::bigint as last_number
from prediction_markets
where
    source = $1
    and market_ticker = any ($2::text[])
    and (close_time is null or close_time >= $3)
    and (open_time is null or open_time < $4)

-- name: read_markets
select
    market_ticker,
    event_ticker,
    series_ticker,
    title,
    status,
    result,
    open_time,
    close_time,
    expected_expiration_time,
    latest_expiration_time,
    settlement_time,
    settlement_value,
    volume,
    price_level_structure,
    observed_at,
    payload::text as payload
from prediction_markets
where
    source = $1
    and market_ticker = any ($2::text[])
    and (close_time is null or close_time >= $3)
    and (open_time is null or open_time < $4)
order by market_ticker

-- name: count_orderbooks
select
    market_ticker,
    date_trunc('day', captured_at, 'UTC') as day,
    count(*) as row_count,
    0::bigint as contracts_e2,
    max(captured_at) as newest,
    null::bigint as first_number,
    null::bigint as last_number
from orderbook_snapshots
where source = $1 and market_ticker = any ($2::text[]) and captured_at >= $3 and captured_at < $4
group by market_ticker, day

-- name: read_orderbooks
select
    market_ticker,
    captured_at,
    best_yes_bid,
    best_yes_ask,
    best_no_bid,
    best_no_ask,
    spread,
    yes_depth,
    no_depth,
    slippage_buy_100,
    slippage_sell_100,
    slippage_buy_1000,
    slippage_sell_1000,
    levels::text as levels
from orderbook_snapshots
where source = $1 and market_ticker = any ($2::text[]) and captured_at >= $3 and captured_at < $4
order by market_ticker, captured_at

-- name: count_raw_events
select
    market_ticker,
    date_trunc('day', received_at, 'UTC') as day,
    count(*) as row_count,
    0::bigint as contracts_e2,
    max(received_at) as newest,
    min(event_id) as first_number,
    max(event_id) as last_number
from raw_kalshi_trade_events
where market_ticker = any ($1::text[]) and received_at >= $2 and received_at < $3
group by market_ticker, day

-- name: read_raw_events
-- The numbers of a day stand together, and the key finds them.
select market_ticker, event_id, received_at, trade_id, rejected, payload::text as payload
from raw_kalshi_trade_events
where
    market_ticker = any ($1::text[])
    and received_at >= $2
    and received_at < $3
    and event_id >= $4
    and event_id <= $5
order by market_ticker, received_at, event_id
