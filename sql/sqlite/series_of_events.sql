-- ?2 is a JSON list of events: SQLite has no arrays.
select event_ticker, series_ticker, title
from prediction_events
where source = ?1 and event_ticker in (select value from json_each(?2))
