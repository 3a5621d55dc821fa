-- In the order of their keys.
select market_ticker, tier, window_from, window_until, status, walk_cursor, walk_low, version
from ingestion_windows
where source = $1 and market_ticker = any ($2::text[]) and window_from < $4 and window_until > $3
order by window_from, window_until, market_ticker, tier
