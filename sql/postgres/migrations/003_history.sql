-- The past: the ledger of backfills, scores of completeness, and unfinished replays.

-- A window of one market (or of the tape) in one tier of the exchange, read or still to be read.
create table ingestion_windows (
    source          text collate "C" not null,
    market_ticker   text collate "C" not null,     -- '*' is the tape; with more behind it, the tape for some markets
    tier            text collate "C" not null check (tier in ('live', 'archive')),
    window_from     timestamptz not null,
    window_until    timestamptz not null,
    status          text not null check (status in ('open', 'read', 'complete')),
    walk_cursor     text,                          -- where an open one goes on
    walk_low        timestamptz,
    events_ingested bigint not null default 0,     -- its trades that were new
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    version         bigint not null default 0,
    primary key (source, market_ticker, window_from, window_until, tier),
    check (window_from < window_until)
);

-- Append-only. Quantities in contracts.
create table completeness_scores (
    score_id          bigint generated always as identity primary key,
    source            text collate "C" not null,
    market_ticker     text collate "C" not null,
    window_from       timestamptz,                 -- null, as is the next: the whole life
    window_until      timestamptz,
    stored_quantity   numeric(20, 2) not null,
    exchange_quantity numeric(20, 2) not null,
    score             double precision not null,   -- stored by exchange, at most 1
    basis             text not null,               -- which of the exchange's figures it is
    scored_at         timestamptz not null
);

create index completeness_scores_market_time
    on completeness_scores (market_ticker, scored_at);

-- A replay that is finished has no row here.
create table replay_places (
    source      text collate "C" not null,
    target      text collate "C" not null,         -- the table written to
    bounds      text collate "C" not null,         -- of received_at, 'from/until', '..' where there is none
    after_event bigint not null,                   -- the last raw event done
    updated_at  timestamptz not null,
    primary key (source, target, bounds)
);
