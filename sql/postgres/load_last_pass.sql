-- With its overlap, and the most that passes made of it since $1.
select
    run_id, command, started_at, finished_at, exit_code, markets, requests, retries,
    events_ingested, events_duplicate, events_rejected, events_conflicting, ingestion_lag_seconds, error,
    overlap_seconds,
    (select max(l.overlap_used_seconds) from ingestion_runs l where l.started_at >= $1) as overlap_used_seconds
from ingestion_runs
where command = 'run' and finished_at is not null
order by run_id desc
limit 1
