-- What a transaction stored, in its run's own row and in the same transaction: a run that is killed
-- afterwards has counted it all the same.
update ingestion_runs
set
    events_ingested = coalesce(events_ingested, 0) + $2,
    events_duplicate = coalesce(events_duplicate, 0) + $3,
    events_rejected = coalesce(events_rejected, 0) + $4,
    events_conflicting = coalesce(events_conflicting, 0) + $5
where run_id = $1
