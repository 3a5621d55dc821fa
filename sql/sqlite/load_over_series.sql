-- Markets that are over and may be looked at again: the longest unseen of those that ended lately,
-- and the longest unseen of all.
select *
from (
    select
        market_ticker, status, series_ticker is not null as has_series, open_time, close_time, settlement_time,
        ended_at, checked_at, missing_since, volume_e2, observed_at
    from prediction_markets
    where source = ?1 and series_ticker = ?2 and status in ('finalized', 'vanished') and ended_at >= ?3
    order by checked_at, market_ticker
    limit ?4
) as lately
union
select *
from (
    select
        market_ticker, status, series_ticker is not null as has_series, open_time, close_time, settlement_time,
        ended_at, checked_at, missing_since, volume_e2, observed_at
    from prediction_markets
    where source = ?1 and series_ticker = ?2 and status in ('finalized', 'vanished')
    order by checked_at, market_ticker
    limit ?4
) as unseen
