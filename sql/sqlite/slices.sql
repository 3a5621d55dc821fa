-- name: load_slices
-- In the order of their keys. ?2 is a JSON list of names: SQLite has no arrays.
select market_ticker, tier, window_from, window_until, status, walk_cursor, walk_low, version
from ingestion_windows
where
    source = ?1
    and market_ticker in (select value from json_each(?2))
    and window_from < ?4
    and window_until > ?3
order by window_from, window_until, market_ticker, tier

-- name: reset_slices
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

-- name: add_slices
insert into ingestion_windows (
    source, market_ticker, tier, window_from, window_until, status, walk_cursor, walk_low, version,
    created_at, updated_at
)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)
on conflict (source, market_ticker, window_from, window_until, tier) do nothing

-- name: complete_slices
-- Comes after add_slices.
update ingestion_windows
set
    status = 'complete',
    updated_at = ?6,
    version = version + 1
where
    source = ?1
    and market_ticker = ?2
    and tier = ?3
    and window_from = ?4
    and window_until = ?5
    and status = 'read'

-- name: advance_slices
-- Compare and set: a row with another version than the one expected stays as it is.
update ingestion_windows
set
    status = ?6,
    walk_cursor = ?7,
    walk_low = ?8,
    events_ingested = events_ingested + ?10,
    updated_at = ?11,
    version = ?9
where
    source = ?1
    and market_ticker = ?2
    and tier = ?3
    and window_from = ?4
    and window_until = ?5
    and version = ?9 - 1
