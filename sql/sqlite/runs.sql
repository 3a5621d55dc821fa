-- name: begin_run
insert into ingestion_runs (command, started_at)
values (?1, ?2)
returning run_id

-- name: finish_run
-- Closes the row, once. Events were counted by the transactions that stored them, whatever the run
-- itself heard of those; what a replay stores it only tells now.
update ingestion_runs
set
    finished_at = ?2,
    exit_code = ?3,
    markets = ?4,
    requests = ?5,
    retries = ?6,
    pages = ?7,
    events_ingested = max(coalesce(events_ingested, 0), ?8),
    events_duplicate = max(coalesce(events_duplicate, 0), ?9),
    events_rejected = max(coalesce(events_rejected, 0), ?10),
    events_conflicting = max(coalesce(events_conflicting, 0), ?18),
    ingestion_lag_seconds = ?11,
    error = ?12,
    tape_trades = ?13,
    tape_seconds = ?14,
    late_trades = ?15,
    overlap_used_seconds = ?16,
    overlap_seconds = ?17
where run_id = ?1 and finished_at is null
returning events_ingested, events_duplicate, events_rejected, events_conflicting

-- name: add_totals
insert into ingestion_totals (source, metric, reason, total)
values (?1, ?2, ?3, ?4)
on conflict (source, metric, reason) do update set total = total + excluded.total

-- name: tape_rate
-- Of the last runs, whatever they read.
select total(tape_trades) / sum(tape_seconds) as rate
from (
    select tape_trades, tape_seconds
    from ingestion_runs
    order by run_id desc
    limit 30
) as t
where tape_seconds > 0
