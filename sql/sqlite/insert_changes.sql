-- Comes before store_markets, and compares with what is on record until then.
insert into market_status_changes (source, market_ticker, status, previous_status, observed_at)
select
    ?1,
    ?2,
    ?3,
    m.status,
    ?4
from (select 1) as o
left join prediction_markets m on m.source = ?1 and m.market_ticker = ?2
where
    m.status is null
    or (
        m.status <> ?3
        and (m.observed_at <= ?4 or m.observed_at > strftime('%Y-%m-%dT%H:%M:%f000Z', ?5, '+1 hour'))
    )
