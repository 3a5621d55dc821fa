-- Comes before store_markets, and compares with what is on record until then.
insert into market_status_changes (source, market_ticker, status, previous_status, observed_at)
select
    $1,
    o.market_ticker,
    o.status,
    m.status,
    o.observed_at
from unnest($2::text[], $3::text[], $4::timestamptz[]) as o (market_ticker, status, observed_at)
left join prediction_markets m on m.source = $1 and m.market_ticker = o.market_ticker
where
    m.status is null
    or (
        m.status <> o.status
        and (m.observed_at <= o.observed_at or m.observed_at > $5::timestamptz + interval '1 hour')
    )
