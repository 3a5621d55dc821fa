-- name: load_slices
-- In the order of their keys.
with wanted as materialized (
    select distinct
        $1::text as source,
        market_ticker
    from unnest($2::text[]) as t (market_ticker)
)
select
    s.market_ticker, s.tier, s.window_from, s.window_until, s.status, s.walk_cursor, s.walk_low, s.version
from wanted w
join ingestion_windows s on s.source = w.source and s.market_ticker = w.market_ticker
where s.window_from < $4 and s.window_until > $3
order by s.window_from, s.window_until, s.market_ticker, s.tier

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
-- wait for each other: `held` is counted before the first row is updated. The source is joined like the rest of the
-- key: the planner would take a constant for selective, and read all rows of the source.
with offered as materialized (
    select
        $1::text as source,
        *
    from unnest($2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
        as t (market_ticker, tier, window_from, window_until)
),
held as (
    select w.market_ticker, w.window_from, w.window_until, w.tier
    from offered o
    join ingestion_windows w
        on
            w.source = o.source
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
from offered o
where
    (select count(*) from held) is not null
    and w.source = o.source
    and w.market_ticker = o.market_ticker
    and w.window_from = o.window_from
    and w.window_until = o.window_until
    and w.tier = o.tier
    and w.status = 'read'

-- name: advance_slices
-- Compare and set: a row with another version than the one expected stays as it is. Rows are
-- locked in the order of their key, so that two writers cannot wait for each other: `held` is counted before
-- the first row is updated. The source is joined like the rest of the key: the planner would take a constant for
-- selective, and read all rows of the source.
with offered as materialized (
    select
        $1::text as source,
        *
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
            w.source = o.source
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
where
    (select count(*) from held) is not null
    and w.source = o.source
    and w.market_ticker = o.market_ticker
    and w.window_from = o.window_from
    and w.window_until = o.window_until
    and w.tier = o.tier
    and w.version = o.version - 1
