-- name: load_slices
-- In the order of their keys.
select market_ticker, tier, window_from, window_until, status, walk_cursor, walk_low, version
from ingestion_windows
where source = $1 and market_ticker = any ($2::text[]) and window_from < $4 and window_until > $3
order by window_from, window_until, market_ticker, tier

-- name: reset_slices
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

-- name: add_slices
-- In the order of the key, so that two writers cannot wait for each other.
insert into ingestion_windows (
    source, market_ticker, tier, window_from, window_until, status, walk_cursor, walk_low, version,
    created_at, updated_at
)
select
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
on conflict (source, market_ticker, window_from, window_until, tier) do nothing

-- name: complete_slices
-- Comes after add_slices. Rows are locked in the order of their key, so that two writers cannot
-- wait for each other.
with held as (
    select w.market_ticker, w.window_from, w.window_until, w.tier
    from unnest($2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
        as o (market_ticker, tier, window_from, window_until)
    join ingestion_windows w
        on
            w.source = $1
            and w.market_ticker = o.market_ticker
            and w.window_from = o.window_from
            and w.window_until = o.window_until
            and w.tier = o.tier
    order by w.market_ticker, w.window_from, w.window_until, w.tier
    for update of w
)
update ingestion_windows w
set
    status = 'complete',
    updated_at = $6,
    version = w.version + 1
from held h
where
    w.source = $1
    and w.market_ticker = h.market_ticker
    and w.window_from = h.window_from
    and w.window_until = h.window_until
    and w.tier = h.tier
    and w.status = 'read'

-- name: advance_slices
-- Compare and set: a row with another version than the one expected stays as it is. Rows are
-- locked in the order of their key, so that two writers cannot wait for each other.
with offered as (
    select *
    from unnest(
        $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::text[], $8::timestamptz[],
        $9::bigint[], $10::bigint[]
    ) as t (
        market_ticker, tier, window_from, window_until, status, walk_cursor, walk_low, version, ingested
    )
),
held as (
    select w.market_ticker, w.window_from, w.window_until, w.tier
    from offered o
    join ingestion_windows w
        on
            w.source = $1
            and w.market_ticker = o.market_ticker
            and w.window_from = o.window_from
            and w.window_until = o.window_until
            and w.tier = o.tier
    order by w.market_ticker, w.window_from, w.window_until, w.tier
    for update of w
)
update ingestion_windows w
set
    status = o.status,
    walk_cursor = o.walk_cursor,
    walk_low = o.walk_low,
    events_ingested = w.events_ingested + o.ingested,
    updated_at = $11,
    version = o.version
from offered o
join held h
    on
        h.market_ticker = o.market_ticker
        and h.window_from = o.window_from
        and h.window_until = o.window_until
        and h.tier = o.tier
where
    w.source = $1
    and w.market_ticker = o.market_ticker
    and w.window_from = o.window_from
    and w.window_until = o.window_until
    and w.tier = o.tier
    and w.version = o.version - 1
