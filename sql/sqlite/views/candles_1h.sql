create view candles_1h as
-- kalshi-ingest: the yes prices of each market by hour of UTC, in cents. Hours without a trade have no row.
-- The trades are found by market, or by the hours in which their markets traded: a condition on `ticker` or `hour`
-- reads no others. `mark` begins with the time and the id of a trade, so that the least and the greatest one end with
-- the first and the last price.
select
    market_ticker as ticker,
    cast(starts_at as text) as starts_at,
    cast((cast(substr(min(mark), -8) as integer) - 10000000) / 10000.0 as double) as open,
    cast(max(yes_price_e4) / 10000.0 as double) as high,
    cast(min(yes_price_e4) / 10000.0 as double) as low,
    cast((cast(substr(max(mark), -8) as integer) - 10000000) / 10000.0 as double) as close,
    cast(sum(yes_price_e4 * quantity) / sum(quantity) / 10000.0 as double) as vwap,
    cast(sum(quantity) / 100.0 as double) as volume,
    cast(sum(price_e4 * quantity) / 100000000.0 as double) as notional_usd,
    cast(count(market_ticker) as bigint) as trades,
    hour
from (
    select
        h.market_ticker,
        h.starts_at as hour,
        h.starts_at as starts_at,
        t.price_e4,
        -- A sum of integers would end with an error where it is too great.
        cast(t.quantity_e2 as double) as quantity,
        case t.side when 'yes' then t.price_e4 else 1000000 - t.price_e4 end as yes_price_e4,
        t.traded_at || ' ' || t.trade_id || ' '
            || cast(10000000 + case t.side when 'yes' then t.price_e4 else 1000000 - t.price_e4 end as text) as mark
    from trade_hours h
    join prediction_market_trades t
        on
            t.market_ticker = h.market_ticker
            and t.traded_at >= h.starts_at
            and t.traded_at <= substr(h.starts_at, 1, 13) || ':59:59.999999Z'
            -- Not through the index of the key, which begins with the source.
            and t.source || '' = h.source
            -- The same once more, for a plan that reads all trades.
            and substr(t.traded_at, 1, 13) = substr(h.starts_at, 1, 13)
) as t
group by market_ticker, hour, starts_at;
