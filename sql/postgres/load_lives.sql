-- Markets by series, event, name or none of these, whose life may touch a span.
select market_ticker, series_ticker, open_time, close_time, status, (volume * 100)::bigint as volume_e2, observed_at
from prediction_markets
where
    source = $1
    and ($2::text is null or series_ticker = $2)
    and ($3::text is null or event_ticker = $3)
    and (open_time is null or open_time < $5)
    and (close_time is null or close_time >= $4)
    and ($6::text[] is null or market_ticker = any ($6::text[]))
order by market_ticker
