create view trades as
-- kalshi-ingest: every trade, with its market. Prices in cents, money in dollars.
select
    t.market_ticker as ticker,
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
    cast(m.result as text) as result,
    cast(m.settlement_value_e4 / 10000.0 as double) as settlement,
    cast(t.trade_id as text) as trade_id,
    cast(substr(t.traded_at, 1, 10) as text) as day,
    -- Days since 1970, until 2100, without a function of dates: no other database reads those of SQLite.
    cast(
        (
            (
                365 * (cast(substr(t.traded_at, 1, 4) as bigint) - 1970)
                + (
                    cast(substr(t.traded_at, 1, 4) as bigint) - 1969
                    - (cast(substr(t.traded_at, 1, 4) as bigint) - 1969) % 4
                ) / 4
                + cast(substr(
                    '000031059090120151181212243273304334', 3 * cast(substr(t.traded_at, 6, 2) as integer) - 2, 3
                ) as integer)
                + case
                    when cast(substr(t.traded_at, 1, 4) as bigint) % 4 = 0 and substr(t.traded_at, 6, 2) > '02' then 1
                    else 0
                end
                + cast(substr(t.traded_at, 9, 2) as integer) - 1
            ) * 86400
            + cast(substr(t.traded_at, 12, 2) as integer) * 3600
            + cast(substr(t.traded_at, 15, 2) as integer) * 60
            + cast(substr(t.traded_at, 18, 2) as integer)
        ) * 1000000 + cast(substr(t.traded_at, 21, 6) as integer)
        as bigint
    ) as traded_us
from prediction_market_trades t
left join prediction_markets m on m.source = t.source and m.market_ticker = t.market_ticker;
