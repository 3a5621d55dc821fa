-- In the order of their keys. ?2 is a JSON list of names: SQLite has no arrays.
select market_ticker, tier, window_from, window_until, status, walk_cursor, walk_low, version
from ingestion_windows
where
    source = ?1
    and market_ticker in (select value from json_each(?2))
    and window_from < ?4
    and window_until > ?3
order by window_from, window_until, market_ticker, tier
