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
    -- What a replay wrote was counted when it was received.
    where finished_at is not null and command <> 'replay'
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

-- The latest score of each market, so that the lowest of a series is found without looking at all.
alter table prediction_markets
    add column score     double precision,
    add column scored_at timestamptz;

update prediction_markets m
set
    score = s.score,
    scored_at = s.scored_at
from (
    select distinct on (source, market_ticker) source, market_ticker, score, scored_at
    from completeness_scores
    order by source, market_ticker, scored_at desc, score_id desc
) as s
where m.source = s.source and m.market_ticker = s.market_ticker;

create index prediction_markets_scores
    on prediction_markets (source, score, market_ticker) where score is not null;
create index prediction_markets_scores_series
    on prediction_markets (source, series_ticker, score, market_ticker) where score is not null;
create index prediction_markets_scores_event
    on prediction_markets (source, event_ticker, score, market_ticker) where score is not null;
