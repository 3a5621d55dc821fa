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
