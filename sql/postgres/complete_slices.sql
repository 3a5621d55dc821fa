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
