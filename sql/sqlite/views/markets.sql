create view markets as
-- kalshi-ingest: the last known state of each market, with the number of its stored trades.
select
    m.market_ticker as ticker,
    cast(m.event_ticker as text) as event,
    cast(m.series_ticker as text) as series,
    cast(m.title as text) as title,
    cast(m.yes_label as text) as yes_label,
    cast(m.status as text) as status,
    cast(m.result as text) as result,
    cast(m.settlement_value_e4 / 10000.0 as double) as settlement,
    cast(m.open_time as text) as open_time,
    cast(m.close_time as text) as close_time,
    cast(m.settlement_time as text) as settlement_time,
    cast(m.volume_e2 / 100.0 as double) as volume,
    cast(coalesce(c.trades, 0) as bigint) as trades,
    cast(c.last_trade_at as text) as last_trade_at,
    cast(m.score as double) as score
from prediction_markets m
left join trade_counts c on c.source = m.source and c.market_ticker = m.market_ticker;
