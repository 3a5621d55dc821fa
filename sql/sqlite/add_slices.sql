insert into ingestion_windows (
    source, market_ticker, tier, window_from, window_until, status, walk_cursor, walk_low, version,
    created_at, updated_at
)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)
on conflict (source, market_ticker, window_from, window_until, tier) do nothing
