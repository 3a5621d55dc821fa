create or replace view market_last_trade as
select
    cast(c.market_ticker as text) as ticker,
    cast(t.side as text) as side,
    cast(case t.side when 'yes' then t.price else 100 - t.price end as numeric(7, 4)) as yes_price,
    cast(case t.side when 'no' then t.price else 100 - t.price end as numeric(7, 4)) as no_price,
    cast(t.quantity as numeric(18, 2)) as quantity,
    cast(t.price * t.quantity * 0.01 as numeric(26, 8)) as notional_usd,
    cast(t.traded_at as timestamptz) as traded_at,
    cast(t.is_block_trade as boolean) as is_block,
    cast(m.series_ticker as text) as series,
    cast(m.event_ticker as text) as event,
    cast(m.title as text) as title,
    cast(m.yes_label as text) as yes_label,
    cast(m.status as text) as status,
    cast(m.result as text) as result,
    cast(m.settlement_value as numeric(7, 4)) as settlement,
    cast(t.trade_id as text) as trade_id
from trade_counts c
-- One look into the index for each market. `is true`: not through the index of the key, which begins with the source.
cross join lateral (
    select *
    from prediction_market_trades x
    where x.market_ticker = c.market_ticker and x.traded_at = c.last_trade_at and (x.source = c.source) is true
    order by x.trade_id desc
    limit 1
) as t
left join prediction_markets m on m.source = c.source and m.market_ticker = c.market_ticker;

comment on view market_last_trade is
    'kalshi-ingest: the newest trade of each market; of several at one instant, the one with the greatest id.';
comment on column market_last_trade.yes_price is 'Cents for one YES contract: the implied probability in percent.';
