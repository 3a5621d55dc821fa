-- In the order of the key, so that two runs that end together cannot wait for each other.
insert into ingestion_totals (source, metric, reason, total)
select
    $1,
    metric,
    reason,
    total
from unnest($2::text[], $3::text[], $4::bigint[]) as t (metric, reason, total)
order by metric collate "C", reason collate "C"
on conflict (source, metric, reason) do update set total = ingestion_totals.total + excluded.total
