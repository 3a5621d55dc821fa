-- name: stored_lifetime
-- ?2 is a JSON list of tickers: SQLite has no arrays. +source: through the index of the key each
-- row would be a leap.
select market_ticker, sum(quantity_e2) as quantity_e2
from prediction_market_trades
where
    +source = ?1
    and market_ticker in (select value from json_each(?2))
    and (?3 is null or traded_at <= ?3)
group by market_ticker
order by market_ticker

-- name: stored_by_hour
-- A trade exactly on the hour belongs to the hour that ends there. ?2 is a JSON list of tickers: SQLite has no
-- arrays. +source: through the index of the key each row would be a leap.
select market_ticker, strftime('%Y-%m-%dT%H:00:00.000000Z', ends_at, 'unixepoch') as ends_at, quantity_e2
from (
    select
        market_ticker,
        unixepoch(substr(traded_at, 1, 13) || ':00:00Z')
        + case substr(traded_at, 15) when '00:00.000000Z' then 0 else 3600 end as ends_at,
        sum(quantity_e2) as quantity_e2
    from prediction_market_trades
    where
        +source = ?1
        and market_ticker in (select value from json_each(?2))
        and traded_at > ?3
        and traded_at <= ?4
    group by market_ticker, ends_at
)
order by market_ticker, ends_at

-- name: insert_scores
insert into completeness_scores (
    source, market_ticker, window_from, window_until, stored_quantity_e2, exchange_quantity_e2, score, basis,
    scored_at
)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)

-- name: mark_scores
-- The latest score of a market.
update prediction_markets
set
    score = ?3,
    scored_at = ?4
where source = ?1 and market_ticker = ?2
