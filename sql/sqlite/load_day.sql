-- What was done in each span of so many seconds since ?1, where anything was.
select
    cast((unixepoch(started_at) - unixepoch(?1)) / ?2 as integer) as span,
    coalesce(sum(events_ingested), 0) as events_ingested,
    max(ingestion_lag_seconds) as lag_seconds
from ingestion_runs
where started_at >= ?1 and command <> 'replay'    -- which stores what was stored before
group by 1
order by 1
