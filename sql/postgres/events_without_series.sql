select distinct event_ticker
from prediction_markets
where source = $1 and series_ticker is null
order by event_ticker
