create view market_last_trade as
-- kalshi-ingest: the newest trade of each market; of several at one instant, the one with the greatest id.
select
    c.market_ticker as ticker,
    cast(t.side as text) as side,
    cast(case t.side when 'yes' then t.price_e4 else 1000000 - t.price_e4 end / 10000.0 as double) as yes_price,
    cast(case t.side when 'no' then t.price_e4 else 1000000 - t.price_e4 end / 10000.0 as double) as no_price,
    cast(t.quantity_e2 / 100.0 as double) as quantity,
    cast(cast(t.price_e4 as double) * t.quantity_e2 / 100000000.0 as double) as notional_usd,
    t.traded_at as traded_at,
    cast(t.is_block_trade as integer) as is_block,
    cast(m.series_ticker as text) as series,
    cast(m.event_ticker as text) as event,
    cast(m.title as text) as title,
    cast(m.yes_label as text) as yes_label,
    cast(m.status as text) as status,
    cast(m.result as text) as result,
    cast(m.settlement_value_e4 / 10000.0 as double) as settlement,
    cast(t.trade_id as text) as trade_id
from trade_counts c
-- One look into the index for each market: not through the index of the key, which begins with the source.
join prediction_market_trades t
    on
        t.source = c.source
        and t.trade_id = (
            select max(x.trade_id)
            from prediction_market_trades x
            where
                x.source || '' = c.source
                and x.market_ticker = c.market_ticker
                and x.traded_at = c.last_trade_at
        )
left join prediction_markets m on m.source = c.source and m.market_ticker = c.market_ticker;
