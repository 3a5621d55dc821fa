-- Closes the row, once. Events were counted by the transactions that stored them, whatever the run
-- itself heard of those; what a replay stores it only tells now.
update ingestion_runs
set
    finished_at = $2,
    exit_code = $3,
    markets = $4,
    requests = $5,
    retries = $6,
    pages = $7,
    events_ingested = greatest(events_ingested, $8),
    events_duplicate = greatest(events_duplicate, $9),
    events_rejected = greatest(events_rejected, $10),
    events_conflicting = greatest(events_conflicting, $18),
    ingestion_lag_seconds = $11,
    error = $12,
    tape_trades = $13,
    tape_seconds = $14,
    late_trades = $15,
    overlap_used_seconds = $16,
    overlap_seconds = $17
where run_id = $1 and finished_at is null
returning events_ingested, events_duplicate, events_rejected, events_conflicting
