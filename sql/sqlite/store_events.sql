insert into prediction_events (source, event_ticker, series_ticker, title, updated_at)
values (?1, ?2, ?3, ?4, ?5)
on conflict (source, event_ticker) do update
set
    series_ticker = excluded.series_ticker,
    title = excluded.title,
    updated_at = excluded.updated_at
