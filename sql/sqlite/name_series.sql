-- Comes after store_events: the markets of this event that were stored without a series.
update prediction_markets
set
    series_ticker = e.series_ticker,
    updated_at = ?3
from prediction_events e
where
    e.source = ?1
    and e.event_ticker = ?2
    and prediction_markets.source = ?1
    and prediction_markets.event_ticker = ?2
    and prediction_markets.series_ticker is null
