-- What the exchange says of its markets, which of them belong to what was selected, and their
-- order books.

alter table ingestion_runs add column tape_trades integer;    -- trades seen on the tape, of whatever market
alter table ingestion_runs add column tape_seconds real;      -- how much of the exchange's time was read for them

-- Nothing is checked of what the exchange says: one odd market must not keep the others out.
create table prediction_markets (
    source                   text not null,
    market_ticker            text not null,
    event_ticker             text not null,
    series_ticker            text,                 -- null: not learnt yet
    title                    text,
    status                   text not null,
    result                   text,
    open_time                text,
    close_time               text,
    expected_expiration_time text,
    latest_expiration_time   text,
    settlement_time          text,
    settlement_value_e4      integer,              -- 0.0001 cent
    settlement_value         real generated always as (settlement_value_e4 / 10000.0) virtual, -- cents that one YES contract paid
    volume_e2                integer,              -- 0.01 contract
    volume                   real generated always as (volume_e2 / 100.0) virtual,             -- contracts
    price_level_structure    text,
    payload                  text not null,        -- as received
    first_seen_at            text not null,
    updated_at               text not null,        -- our clock when something of the above was last stored
    observed_at              text not null,        -- exchange time of the answer that said it
    checked_at               text not null,        -- our clock when it was last asked for or stored
    missing_since            text,                 -- our clock when it was first not found
    ended_at                 text,                 -- null: not over
    primary key (source, market_ticker)
) strict;

-- What is over stays for good; what is not are few.
create index prediction_markets_unsettled
    on prediction_markets (source, market_ticker)
    where status not in ('finalized', 'vanished');
create index prediction_markets_unsettled_series
    on prediction_markets (source, series_ticker, market_ticker)
    where status not in ('finalized', 'vanished');
create index prediction_markets_unsettled_event
    on prediction_markets (source, event_ticker, market_ticker)
    where status not in ('finalized', 'vanished');
create index prediction_markets_without_series
    on prediction_markets (source, event_ticker)
    where series_ticker is null;

-- Append-only.
create table market_status_changes (
    change_id       integer primary key,
    source          text not null,
    market_ticker   text not null,
    status          text not null,
    previous_status text,                          -- null: never seen before
    observed_at     text not null
) strict;

create index market_status_changes_market_time
    on market_status_changes (market_ticker, observed_at);

create table prediction_events (
    source        text not null,
    event_ticker  text not null,
    series_ticker text not null,
    title         text,
    updated_at    text not null,
    primary key (source, event_ticker)
) strict, without rowid;

create table selection_watches (
    source            text not null,
    watch             text not null,
    first_selected_at text not null,
    resolved_at       text,                        -- our clock when the exchange last named its markets
    synced_at         text,                        -- our clock when their metadata was last read to the end
    synced_until      text,                        -- exchange time of that reading's first answer
    primary key (source, watch)
) strict, without rowid;

create table selection_members (
    source        text not null,
    watch         text not null,
    market_ticker text not null,
    joined_at     text not null,
    primary key (source, watch, market_ticker)
) strict, without rowid;

-- Append-only. Prices, spread and slippage in cents for one contract, depth in contracts.
create table orderbook_snapshots (
    source                text not null,
    market_ticker         text not null,
    captured_at           text not null,           -- exchange time of the answer
    best_yes_bid_e4       integer,                 -- 0.0001 cent
    best_yes_bid          real generated always as (best_yes_bid_e4 / 10000.0) virtual,
    best_yes_ask_e4       integer,
    best_yes_ask          real generated always as (best_yes_ask_e4 / 10000.0) virtual,
    best_no_bid_e4        integer,
    best_no_bid           real generated always as (best_no_bid_e4 / 10000.0) virtual,
    best_no_ask_e4        integer,
    best_no_ask           real generated always as (best_no_ask_e4 / 10000.0) virtual,
    spread_e4             integer,                 -- negative in a crossed book
    spread                real generated always as (spread_e4 / 10000.0) virtual,
    yes_depth_e2          integer not null,        -- 0.01 contract
    yes_depth             real generated always as (yes_depth_e2 / 100.0) virtual,
    no_depth_e2           integer not null,
    no_depth              real generated always as (no_depth_e2 / 100.0) virtual,
    slippage_buy_100_e9   integer,                 -- 0.000000001 cent; null: the book is too thin
    slippage_buy_100      real generated always as (slippage_buy_100_e9 / 1000000000.0) virtual,
    slippage_sell_100_e9  integer,
    slippage_sell_100     real generated always as (slippage_sell_100_e9 / 1000000000.0) virtual,
    slippage_buy_1000_e9  integer,
    slippage_buy_1000     real generated always as (slippage_buy_1000_e9 / 1000000000.0) virtual,
    slippage_sell_1000_e9 integer,
    slippage_sell_1000    real generated always as (slippage_sell_1000_e9 / 1000000000.0) virtual,
    levels                text not null,           -- as received
    primary key (source, market_ticker, captured_at)
) strict;
