-- Comes after store_events: the markets of these events that were stored without a series.
update prediction_markets m
set
    series_ticker = e.series_ticker,
    updated_at = $3
from prediction_events e
where
    e.source = $1
    and e.event_ticker = any ($2::text[])
    and m.source = $1
    and m.event_ticker = e.event_ticker
    and m.series_ticker is null
