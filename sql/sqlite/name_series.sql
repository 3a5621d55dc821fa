-- Comes after store_events: the markets of this event that were stored without a series.
update prediction_markets
set
    series_ticker = ?3,
    updated_at = ?4
where source = ?1 and event_ticker = ?2 and series_ticker is null
