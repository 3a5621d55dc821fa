-- Markets selected for the first time: staleness counts from now on.
insert into ingestion_checkpoints (source, market_ticker, first_selected_at, updated_at)
select
    $1,
    market_ticker,
    $3,
    $3
from unnest($2::text[]) as t (market_ticker)
on conflict (source, market_ticker) do nothing
