-- A trade exactly on the hour belongs to the hour that ends there.
select
    market_ticker,
    date_trunc('hour', traded_at - interval '1 microsecond', 'UTC') + interval '1 hour' as ends_at,
    (sum(quantity) * 100)::bigint as quantity_e2
from prediction_market_trades
where source = $1 and market_ticker = any ($2::text[]) and traded_at > $3 and traded_at <= $4
group by market_ticker, ends_at
order by market_ticker, ends_at
