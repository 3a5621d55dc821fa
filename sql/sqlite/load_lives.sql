-- Markets by series, event, name or none of these, whose life may touch a span.
select market_ticker, series_ticker, open_time, close_time, status, volume_e2, observed_at
from prediction_markets
where
    source = ?1
    and (?2 is null or series_ticker = ?2)
    and (?3 is null or event_ticker = ?3)
    and (open_time is null or open_time < ?5)
    and (close_time is null or close_time >= ?4)
    and (?6 is null or market_ticker in (select value from json_each(?6)))
order by market_ticker
