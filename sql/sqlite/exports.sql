-- name: load_members
-- Markets by series, event, name or none of these; also those of which only trades are stored. ?4 is a JSON list:
-- SQLite has no arrays.
with wanted as (
    select market_ticker
    from prediction_markets
    where
        source = ?1
        and ?4 is null
        and (?2 is null or series_ticker = ?2)
        and (?3 is null or event_ticker = ?3)
    union
    select market_ticker
    from trade_counts
    where source = ?1 and ?2 is null and ?3 is null and ?4 is null
    union
    select value
    from json_each(?4)
    where ?4 is not null
)
select w.market_ticker, coalesce(m.series_ticker, e.series_ticker) as series_ticker, m.open_time, m.close_time
from wanted w
left join prediction_markets m on m.source = ?1 and m.market_ticker = w.market_ticker
left join prediction_events e on e.source = ?1 and e.event_ticker = m.event_ticker
order by w.market_ticker

-- name: load_window_scores
-- Of each market and window the latest: the other columns are those of the row with the highest number.
select
    market_ticker,
    window_from,
    window_until,
    stored_quantity_e2 as stored_e2,
    exchange_quantity_e2 as exchange_e2,
    score,
    scored_at,
    max(score_id) as score_id
from completeness_scores
where source = ?1 and market_ticker in (select value from json_each(?2))
group by market_ticker, window_from, window_until
order by market_ticker, window_from, window_until

-- name: load_lowered
select market_ticker, claim, claimed, proven, corrected_at
from claim_corrections
where
    source = ?1
    and market_ticker in (select value from json_each(?2))
    and claim in ('complete_until', 'complete_from')
order by correction_id

-- name: count_trades
-- ?2 is a JSON list of tickers: SQLite has no arrays. +source: through the index of the key each row would be a leap.
select
    market_ticker,
    substr(traded_at, 1, 10) || 'T00:00:00.000000Z' as day,
    count(*) as row_count,
    sum(quantity_e2) as contracts_e2,
    max(ingested_at) as newest,
    null as first_number,
    null as last_number
from prediction_market_trades
where
    +source = ?1
    and market_ticker in (select value from json_each(?2))
    and traded_at >= ?3
    and traded_at < ?4
group by market_ticker, substr(traded_at, 1, 10)

-- name: read_trades
select
    market_ticker,
    trade_id,
    traded_at,
    side,
    price_e4,
    case side when 'yes' then price_e4 else 1000000 - price_e4 end as yes_price_e4,
    quantity_e2,
    is_block_trade,
    ingested_at
from prediction_market_trades
where
    +source = ?1
    and market_ticker in (select value from json_each(?2))
    and traded_at >= ?3
    and traded_at < ?4
order by market_ticker, traded_at, trade_id

-- name: count_markets
-- One row for each market whose life may touch the span.
select
    market_ticker,
    substr(updated_at, 1, 10) || 'T00:00:00.000000Z' as day,
    1 as row_count,
    coalesce(volume_e2, 0) as contracts_e2,
    updated_at as newest,
    null as first_number,
    null as last_number
from prediction_markets
where
    source = ?1
    and market_ticker in (select value from json_each(?2))
    and (close_time is null or close_time >= ?3)
    and (open_time is null or open_time < ?4)

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
    settlement_value_e4,
    volume_e2,
    price_level_structure,
    observed_at,
    payload
from prediction_markets
where
    source = ?1
    and market_ticker in (select value from json_each(?2))
    and (close_time is null or close_time >= ?3)
    and (open_time is null or open_time < ?4)
order by market_ticker

-- name: count_orderbooks
select
    market_ticker,
    substr(captured_at, 1, 10) || 'T00:00:00.000000Z' as day,
    count(*) as row_count,
    0 as contracts_e2,
    max(captured_at) as newest,
    null as first_number,
    null as last_number
from orderbook_snapshots
where
    source = ?1
    and market_ticker in (select value from json_each(?2))
    and captured_at >= ?3
    and captured_at < ?4
group by market_ticker, substr(captured_at, 1, 10)

-- name: read_orderbooks
select
    market_ticker,
    captured_at,
    best_yes_bid_e4,
    best_yes_ask_e4,
    best_no_bid_e4,
    best_no_ask_e4,
    spread_e4,
    yes_depth_e2,
    no_depth_e2,
    slippage_buy_100_e9,
    slippage_sell_100_e9,
    slippage_buy_1000_e9,
    slippage_sell_1000_e9,
    levels
from orderbook_snapshots
where
    source = ?1
    and market_ticker in (select value from json_each(?2))
    and captured_at >= ?3
    and captured_at < ?4
order by market_ticker, captured_at

-- name: count_raw_events
select
    market_ticker,
    substr(received_at, 1, 10) || 'T00:00:00.000000Z' as day,
    count(*) as row_count,
    0 as contracts_e2,
    max(received_at) as newest,
    min(event_id) as first_number,
    max(event_id) as last_number
from raw_kalshi_trade_events
where market_ticker in (select value from json_each(?1)) and received_at >= ?2 and received_at < ?3
group by market_ticker, substr(received_at, 1, 10)

-- name: read_raw_events
-- The numbers of a day stand together, and the key finds them.
select market_ticker, event_id, received_at, trade_id, rejected, payload
from raw_kalshi_trade_events
where
    +market_ticker in (select value from json_each(?1))
    and received_at >= ?2
    and received_at < ?3
    and event_id >= ?4
    and event_id <= ?5
order by market_ticker, received_at, event_id
