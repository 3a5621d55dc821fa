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
