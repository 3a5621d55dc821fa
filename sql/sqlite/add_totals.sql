insert into ingestion_totals (source, metric, reason, total)
values (?1, ?2, ?3, ?4)
on conflict (source, metric, reason) do update set total = total + excluded.total
