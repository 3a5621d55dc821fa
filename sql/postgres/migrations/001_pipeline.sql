-- The tables of the pipeline. Keys are collated "C": tickers and ids are opaque, and any
-- other collation costs microseconds a row.

create table ingestion_runs (
    run_id                bigint generated always as identity primary key,
    command               text not null,
    started_at            timestamptz not null,
    finished_at           timestamptz,            -- null: still at work, or killed
    exit_code             smallint,
    markets               integer,
    requests              bigint,
    retries               bigint,
    pages                 bigint,
    events_ingested       bigint,
    events_duplicate      bigint,
    events_rejected       bigint,
    ingestion_lag_seconds double precision,
    error                 text
);

create table ingestion_checkpoints (
    source            text collate "C" not null,
    market_ticker     text collate "C" not null,  -- '*' is the tape
    complete_from     timestamptz,                -- null: wherever the exchange's live data began
    complete_until    timestamptz,                -- everything before it is stored
    complete_as_of    timestamptz,                -- our clock when that was read
    last_trade_at     timestamptz,
    last_success_at   timestamptz,
    walk_from         timestamptz,                -- an interrupted walk has at least walk_until
    walk_until        timestamptz,
    walk_cursor       text,
    walk_low          timestamptz,
    walk_opened_at    timestamptz,
    failures          integer not null default 0,
    last_error        text,
    retired_at        timestamptz,
    first_selected_at timestamptz not null,
    updated_at        timestamptz not null,
    version           bigint not null default 0,
    primary key (source, market_ticker),
    check (complete_from <= complete_until),
    check (walk_from <= walk_until),
    check (walk_until is not null or (walk_from is null and walk_cursor is null and walk_low is null))
);

create table prediction_market_trades (
    source         text collate "C" not null,
    trade_id       text collate "C" not null,
    market_ticker  text collate "C" not null,
    side           text not null check (side in ('yes', 'no')),
    price          numeric(7, 4) not null check (price between 0 and 100),   -- cents for one contract of side
    quantity       numeric(18, 2) not null check (quantity > 0),             -- contracts
    traded_at      timestamptz not null,
    is_block_trade boolean,
    run_id         bigint not null,
    ingested_at    timestamptz not null,
    primary key (source, trade_id)
);

create index prediction_market_trades_market_time
    on prediction_market_trades (market_ticker, traded_at);
create index prediction_market_trades_time
    on prediction_market_trades using brin (traded_at);

create view prediction_market_trades_yes as
select
    t.*,
    case side when 'yes' then price else 100 - price end as yes_price
from prediction_market_trades t;

-- Append-only. `json`, not `jsonb`: the text is kept exactly as received.
create table raw_kalshi_trade_events (
    event_id      bigint generated always as identity primary key,
    run_id        bigint not null,
    received_at   timestamptz not null,
    market_ticker text collate "C" not null,
    trade_id      text collate "C",
    payload       json not null,
    rejected      text                            -- null, or why it is no trade
);

create index raw_kalshi_trade_events_received
    on raw_kalshi_trade_events using brin (received_at);
-- A refused event is met again on every pass over its second; it is kept once.
create unique index raw_kalshi_trade_events_rejected
    on raw_kalshi_trade_events (market_ticker, md5(payload::text))
    where rejected is not null;
