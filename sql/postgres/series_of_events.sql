select event_ticker, series_ticker, title
from prediction_events
where source = $1 and event_ticker = any ($2::text[])
