-- Of an event named twice the last one counts.
insert into prediction_events (source, event_ticker, series_ticker, title, updated_at)
select distinct on (event_ticker)
    $1,
    event_ticker,
    series_ticker,
    title,
    $5
from unnest($2::text[], $3::text[], $4::text[]) with ordinality as o (event_ticker, series_ticker, title, place)
order by event_ticker, place desc
on conflict (source, event_ticker) do update
set
    series_ticker = excluded.series_ticker,
    title = excluded.title,
    updated_at = excluded.updated_at
