select market_ticker, (sum(quantity) * 100)::bigint as quantity_e2
from prediction_market_trades
where
    source = $1
    and market_ticker = any ($2::text[])
    and ($3::timestamptz is null or traded_at <= $3)
group by market_ticker
order by market_ticker
