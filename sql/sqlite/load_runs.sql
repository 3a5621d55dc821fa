select
    run_id, command, started_at, finished_at, exit_code, markets, requests, retries,
    events_ingested, events_duplicate, events_rejected, events_conflicting, ingestion_lag_seconds, error
from ingestion_runs
order by run_id desc
limit ?1
