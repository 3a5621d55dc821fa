select
    market_ticker, status, series_ticker is not null as has_series, open_time, close_time, settlement_time,
    ended_at, checked_at, missing_since, volume_e2, observed_at
from prediction_markets
where source = ?1 and status not in ('finalized', 'vanished')
order by market_ticker
