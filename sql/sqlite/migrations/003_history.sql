-- The past: the ledger of backfills, scores of completeness, and unfinished replays.

-- A window of one market (or of the tape) in one tier of the exchange, read or still to be read.
create table ingestion_windows (
    source          text not null,
    market_ticker   text not null,                 -- '*' is the tape; with more behind it, the tape for some markets
    tier            text not null check (tier in ('live', 'archive')),
    window_from     text not null,
    window_until    text not null,
    status          text not null check (status in ('open', 'read', 'complete')),
    walk_cursor     text,                          -- where an open one goes on
    walk_low        text,
    events_ingested integer not null default 0,    -- its trades that were new
    created_at      text not null,
    updated_at      text not null,
    version         integer not null default 0,
    primary key (source, market_ticker, window_from, window_until, tier),
    check (window_from < window_until)
) strict, without rowid;

-- Append-only. Quantities in contracts.
create table completeness_scores (
    score_id             integer primary key,
    source               text not null,
    market_ticker        text not null,
    window_from          text,                     -- null, as is the next: the whole life
    window_until         text,
    stored_quantity_e2   integer not null,         -- 0.01 contract
    stored_quantity      real generated always as (stored_quantity_e2 / 100.0) virtual,
    exchange_quantity_e2 integer not null,
    exchange_quantity    real generated always as (exchange_quantity_e2 / 100.0) virtual,
    score                real not null,            -- stored by exchange, at most 1
    basis                text not null,            -- which of the exchange's figures it is
    scored_at            text not null
) strict;

create index completeness_scores_market_time
    on completeness_scores (market_ticker, scored_at);

-- A replay that is finished has no row here.
create table replay_places (
    source      text not null,
    target      text not null,                     -- the table written to
    bounds      text not null,                     -- of received_at, 'from/until', '..' where there is none
    after_event integer not null,                  -- the last raw event done
    updated_at  text not null,
    primary key (source, target, bounds)
) strict, without rowid;
