-- Of all runs, the unfinished ones included as far as they are.
select metric, reason, sum(total) as total
from (
    select metric, reason, total
    from ingestion_totals
    where source = ?1
    union all
    select 'events_ingested', '', events_ingested from ingestion_runs where finished_at is null and events_ingested > 0
    union all
    select 'events_duplicate', '', events_duplicate from ingestion_runs where finished_at is null and events_duplicate > 0
    union all
    select 'events_rejected', '', events_rejected from ingestion_runs where finished_at is null and events_rejected > 0
    union all
    select 'events_conflicting', '', events_conflicting from ingestion_runs
    where finished_at is null and events_conflicting > 0
)
group by metric, reason
