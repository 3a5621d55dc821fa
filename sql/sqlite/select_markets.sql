-- Markets selected for the first time: staleness counts from now on.
insert into ingestion_checkpoints (source, market_ticker, first_selected_at, updated_at)
select
    ?1,
    value,
    ?3,
    ?3
from json_each(?2)
where true
on conflict (source, market_ticker) do nothing
