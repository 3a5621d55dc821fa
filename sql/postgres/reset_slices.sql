-- As add_slices, but what is on record is set back. In the order of the key, so that two writers
-- cannot wait for each other.
insert into ingestion_windows (
    source, market_ticker, tier, window_from, window_until, status, walk_cursor, walk_low, version,
    created_at, updated_at
)
select distinct on (market_ticker collate "C", window_from, window_until, tier collate "C")
    $1,
    market_ticker,
    tier,
    window_from,
    window_until,
    status,
    walk_cursor,
    walk_low,
    version,
    $10,
    $10
from unnest(
    $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::text[], $8::timestamptz[],
    $9::bigint[]
) as o (market_ticker, tier, window_from, window_until, status, walk_cursor, walk_low, version)
order by market_ticker collate "C", window_from, window_until, tier collate "C"
on conflict (source, market_ticker, window_from, window_until, tier) do update
set
    status = excluded.status,
    walk_cursor = excluded.walk_cursor,
    walk_low = excluded.walk_low,
    updated_at = excluded.updated_at,
    version = ingestion_windows.version + 1
