insert into ingestion_runs (command, started_at)
values (?1, ?2)
returning run_id
