update ingestion_runs
set
    finished_at = $2,
    exit_code = $3,
    markets = $4,
    requests = $5,
    retries = $6,
    pages = $7,
    events_ingested = $8,
    events_duplicate = $9,
    events_rejected = $10,
    ingestion_lag_seconds = $11,
    error = $12,
    tape_trades = $13,
    tape_seconds = $14
where run_id = $1
