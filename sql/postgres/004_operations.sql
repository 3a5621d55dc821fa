-- What the person on call looks at: totals that outlive their runs, and what the passes were asked for.

alter table ingestion_runs
    add column late_trades          bigint,            -- new trades in windows that had been complete
    add column overlap_used_seconds double precision,  -- how far below the end of that the deepest lay
    add column overlap_seconds      double precision;  -- of a pass

-- Those at work, and those that were killed.
create index ingestion_runs_unfinished on ingestion_runs (run_id) where finished_at is null;
create index ingestion_runs_started on ingestion_runs (started_at);

-- Sums over all finished runs; what an unfinished one has stored so far is in its own row.
create table ingestion_totals (
    source text collate "C" not null,
    metric text collate "C" not null,
    reason text collate "C" not null,              -- of retries; else empty
    total  bigint not null,
    primary key (source, metric, reason)
);

insert into ingestion_totals (source, metric, reason, total)
select 'kalshi', metric, '', total
from (
    select
        coalesce(sum(requests), 0)::bigint as requests,
        coalesce(sum(events_ingested), 0)::bigint as ingested,
        coalesce(sum(events_duplicate), 0)::bigint as duplicate,
        coalesce(sum(events_rejected), 0)::bigint as rejected
    from ingestion_runs
    where finished_at is not null
) as s,
lateral (values
    ('requests', requests), ('events_ingested', ingested), ('events_duplicate', duplicate), ('events_rejected', rejected)
) as t (metric, total);

alter table selection_watches
    add column sla_seconds double precision,       -- of the last pass that was asked for it
    add column selected_at timestamptz;            -- our clock at that pass, to some minutes

-- Retired markets pile up; the others are few.
create index ingestion_checkpoints_active
    on ingestion_checkpoints (source, market_ticker) where retired_at is null;
create index ingestion_checkpoints_retired
    on ingestion_checkpoints (retired_at) where retired_at is not null;
create index completeness_scores_time
    on completeness_scores (scored_at);
