-- The trades are found by market, or by the hours in which their markets traded: a condition on `ticker` or `hour`
-- reads no others. `mark` begins with the time and the id of a trade, so that the least and the greatest one end with
-- the first and the last price.
create or replace view candles_1h as
select
    cast(market_ticker as text) as ticker,
    cast(starts_at as timestamptz) as starts_at,
    cast(right(min(mark), 8) as numeric(7, 4)) as open,
    cast(max(yes_price) as numeric(7, 4)) as high,
    cast(min(yes_price) as numeric(7, 4)) as low,
    cast(right(max(mark), 8) as numeric(7, 4)) as close,
    cast(sum(yes_price * quantity) / sum(quantity) as numeric(9, 6)) as vwap,
    cast(sum(quantity) as numeric(24, 2)) as volume,
    cast(sum(price * quantity) * 0.01 as numeric(32, 8)) as notional_usd,
    cast(count(*) as bigint) as trades,
    cast(hour as timestamptz) as hour
from (
    select
        h.market_ticker,
        h.starts_at as hour,
        h.starts_at as starts_at,
        t.price,
        t.quantity,
        t.yes_price,
        encode(timestamptz_send(t.traded_at), 'hex') || ' ' || t.trade_id || ' '
            || lpad(cast(t.yes_price as text), 8, '0') collate "C" as mark
    from trade_hours h
    -- `offset 0`: by the index of the markets in any case. The planner cannot know how few trades an hour has, and
    -- would rather read all of them. `is true`: not through the index of the key, which begins with the source.
    cross join lateral (
        select
            x.traded_at,
            x.trade_id,
            x.price,
            x.quantity,
            case x.side when 'yes' then x.price else 100 - x.price end as yes_price
        from prediction_market_trades x
        where
            x.market_ticker = h.market_ticker
            and x.traded_at >= h.starts_at
            and x.traded_at < h.starts_at + interval '1 hour'
            and (x.source = h.source) is true
        offset 0
    ) as t
) as t
group by market_ticker, hour, starts_at;

comment on view candles_1h is
    'kalshi-ingest: the yes prices of each market by hour of UTC, in cents. Hours without a trade have no row.';
comment on column candles_1h.starts_at is 'The beginning of the hour.';
comment on column candles_1h.open is 'The price of the first trade, by time and id.';
comment on column candles_1h.close is 'The price of the last trade, by time and id.';
comment on column candles_1h.vwap is 'The price weighted by contracts.';
comment on column candles_1h.volume is 'Contracts.';
comment on column candles_1h.notional_usd is 'Dollars that the takers paid, without fees.';
comment on column candles_1h.hour is 'The beginning of the hour. A condition on it reads no other trades.';
