-- Of all runs, the unfinished ones included as far as they are.
select metric, reason, sum(total)::bigint as total
from (
    select metric, reason, total
    from ingestion_totals
    where source = $1
    union all
    select t.metric, '', t.total
    from ingestion_runs r,
    lateral (values
        ('events_ingested', r.events_ingested), ('events_duplicate', r.events_duplicate),
        ('events_rejected', r.events_rejected), ('events_conflicting', r.events_conflicting)
    ) as t (metric, total)
    where r.finished_at is null and t.total > 0
) as all_runs
group by metric, reason
