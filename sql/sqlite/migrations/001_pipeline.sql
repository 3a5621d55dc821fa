-- The tables of the pipeline. SQLite has neither decimals nor instants: money is a scaled
-- integer with a generated column beside it, an instant is RFC 3339 text of fixed width.

create table ingestion_runs (
    run_id                integer primary key,
    command               text not null,
    started_at            text not null,
    finished_at           text,                   -- null: still at work, or killed
    exit_code             integer,
    markets               integer,
    requests              integer,
    retries               integer,
    pages                 integer,
    events_ingested       integer,
    events_duplicate      integer,
    events_rejected       integer,
    ingestion_lag_seconds real,
    error                 text
) strict;

create table ingestion_checkpoints (
    source            text not null,
    market_ticker     text not null,              -- '*' is the tape
    complete_from     text,                       -- null: wherever the exchange's live data began
    complete_until    text,                       -- everything before it is stored
    complete_as_of    text,                       -- our clock when that was read
    last_trade_at     text,
    last_success_at   text,
    walk_from         text,                       -- an interrupted walk has at least walk_until
    walk_until        text,
    walk_cursor       text,
    walk_low          text,
    walk_opened_at    text,
    failures          integer not null default 0,
    last_error        text,
    retired_at        text,
    first_selected_at text not null,
    updated_at        text not null,
    version           integer not null default 0,
    primary key (source, market_ticker),
    check (complete_from <= complete_until),
    check (walk_from <= walk_until),
    check (walk_until is not null or (walk_from is null and walk_cursor is null and walk_low is null))
) strict, without rowid;

-- A rowid table: its unique key loads faster than a clustered one.
create table prediction_market_trades (
    source         text not null,
    trade_id       text not null,
    market_ticker  text not null,
    side           text not null check (side in ('yes', 'no')),
    price_e4       integer not null check (price_e4 between 0 and 1000000),  -- 0.0001 cent
    price          real generated always as (price_e4 / 10000.0) virtual,    -- cents for one contract of side
    quantity_e2    integer not null check (quantity_e2 > 0),                 -- 0.01 contract
    quantity       real generated always as (quantity_e2 / 100.0) virtual,   -- contracts
    traded_at      text not null,
    is_block_trade integer,
    run_id         integer not null,
    ingested_at    text not null,
    primary key (source, trade_id)
) strict;

create index prediction_market_trades_market_time
    on prediction_market_trades (market_ticker, traded_at);

create view prediction_market_trades_yes as
select
    t.*,
    case side when 'yes' then price_e4 else 1000000 - price_e4 end as yes_price_e4,
    case side when 'yes' then price_e4 else 1000000 - price_e4 end / 10000.0 as yes_price
from prediction_market_trades t;

-- Append-only: the text is kept exactly as received.
create table raw_kalshi_trade_events (
    event_id      integer primary key,
    run_id        integer not null,
    received_at   text not null,
    market_ticker text not null,
    trade_id      text,
    payload       text not null,
    rejected      text                            -- null, or why it is no trade
) strict;

-- A refused event is met again on every pass over its second; it is kept once.
create unique index raw_kalshi_trade_events_rejected
    on raw_kalshi_trade_events (market_ticker, payload)
    where rejected is not null;
