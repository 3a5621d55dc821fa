-- What the person on call looks at: totals that outlive their runs, and what the passes were asked for.

alter table ingestion_runs add column late_trades integer;           -- new trades in windows that had been complete
alter table ingestion_runs add column overlap_used_seconds real;     -- how far below the end of that the deepest lay
alter table ingestion_runs add column overlap_seconds real;          -- of a pass

-- Those at work, and those that were killed.
create index ingestion_runs_unfinished on ingestion_runs (run_id) where finished_at is null;
create index ingestion_runs_started on ingestion_runs (started_at);

-- Sums over all finished runs (what a replay wrote was counted when it was received); what an unfinished one has stored so far is in its own row.
create table ingestion_totals (
    source text not null,
    metric text not null,
    reason text not null,                          -- of retries; else empty
    total  integer not null,
    primary key (source, metric, reason)
) strict, without rowid;

insert into ingestion_totals (source, metric, reason, total)
select 'kalshi', 'requests', '', coalesce(sum(requests), 0) from ingestion_runs where finished_at is not null and command <> 'replay'
union all
select 'kalshi', 'events_ingested', '', coalesce(sum(events_ingested), 0) from ingestion_runs where finished_at is not null and command <> 'replay'
union all
select 'kalshi', 'events_duplicate', '', coalesce(sum(events_duplicate), 0) from ingestion_runs where finished_at is not null and command <> 'replay'
union all
select 'kalshi', 'events_rejected', '', coalesce(sum(events_rejected), 0) from ingestion_runs where finished_at is not null and command <> 'replay';

alter table selection_watches add column sla_seconds real;           -- of the last pass that was asked for it
alter table selection_watches add column selected_at text;           -- our clock at that pass, to some minutes

-- Retired markets pile up; the others are few.
create index ingestion_checkpoints_active
    on ingestion_checkpoints (source, market_ticker) where retired_at is null;
create index ingestion_checkpoints_retired
    on ingestion_checkpoints (retired_at) where retired_at is not null;

-- The latest score of each market, so that the lowest of a series is found without looking at all.
alter table prediction_markets add column score real;
alter table prediction_markets add column scored_at text;

update prediction_markets
set
    score = s.score,
    scored_at = s.scored_at
from (
    select source, market_ticker, score, scored_at
    from completeness_scores
    where score_id in (select max(score_id) from completeness_scores group by source, market_ticker)
) as s
where prediction_markets.source = s.source and prediction_markets.market_ticker = s.market_ticker;

create index prediction_markets_scores
    on prediction_markets (source, score, market_ticker) where score is not null;
create index prediction_markets_scores_series
    on prediction_markets (source, series_ticker, score, market_ticker) where score is not null;
create index prediction_markets_scores_event
    on prediction_markets (source, event_ticker, score, market_ticker) where score is not null;
