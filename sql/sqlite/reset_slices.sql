-- As add_slices, but what is on record is set back.
insert into ingestion_windows (
    source, market_ticker, tier, window_from, window_until, status, walk_cursor, walk_low, version,
    created_at, updated_at
)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)
on conflict (source, market_ticker, window_from, window_until, tier) do update
set
    status = excluded.status,
    walk_cursor = excluded.walk_cursor,
    walk_low = excluded.walk_low,
    updated_at = excluded.updated_at,
    version = ingestion_windows.version + 1
