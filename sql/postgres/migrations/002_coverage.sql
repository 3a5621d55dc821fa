-- What the exchange says of its markets, which of them belong to what was selected, and their
-- order books.

alter table ingestion_runs
    add column tape_trades  bigint,               -- trades seen on the tape, of whatever market
    add column tape_seconds double precision;     -- how much of the exchange's time was read for them

-- Nothing is checked of what the exchange says: one odd market must not keep the others out.
create table prediction_markets (
    source                   text collate "C" not null,
    market_ticker            text collate "C" not null,
    event_ticker             text collate "C" not null,
    series_ticker            text collate "C",     -- null: not learnt yet
    title                    text,
    status                   text collate "C" not null,
    result                   text,
    open_time                timestamptz,
    close_time               timestamptz,
    expected_expiration_time timestamptz,
    latest_expiration_time   timestamptz,
    settlement_time          timestamptz,
    settlement_value         numeric(7, 4),        -- cents that one YES contract paid
    volume                   numeric(20, 2),       -- contracts
    price_level_structure    text,
    payload                  json not null,        -- as received
    first_seen_at            timestamptz not null,
    updated_at               timestamptz not null, -- our clock when something of the above was last stored
    observed_at              timestamptz not null, -- exchange time of the answer that said it
    checked_at               timestamptz not null, -- our clock when it was last asked for or stored
    missing_since            timestamptz,          -- our clock when it was first not found
    ended_at                 timestamptz,          -- null: not over
    primary key (source, market_ticker)
);

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
    change_id       bigint generated always as identity primary key,
    source          text collate "C" not null,
    market_ticker   text collate "C" not null,
    status          text collate "C" not null,
    previous_status text collate "C",              -- null: never seen before
    observed_at     timestamptz not null
);

create index market_status_changes_market_time
    on market_status_changes (market_ticker, observed_at);

create table prediction_events (
    source        text collate "C" not null,
    event_ticker  text collate "C" not null,
    series_ticker text collate "C" not null,
    title         text,
    updated_at    timestamptz not null,
    primary key (source, event_ticker)
);

create table selection_watches (
    source            text collate "C" not null,
    watch             text collate "C" not null,
    first_selected_at timestamptz not null,
    resolved_at       timestamptz,                 -- our clock when the exchange last named its markets
    synced_at         timestamptz,                 -- our clock when their metadata was last read to the end
    synced_until      timestamptz,                 -- exchange time of that reading's first answer
    primary key (source, watch)
);

create table selection_members (
    source        text collate "C" not null,
    watch         text collate "C" not null,
    market_ticker text collate "C" not null,
    joined_at     timestamptz not null,
    primary key (source, watch, market_ticker)
);

-- Append-only. Prices, spread and slippage in cents for one contract, depth in contracts.
create table orderbook_snapshots (
    source             text collate "C" not null,
    market_ticker      text collate "C" not null,
    captured_at        timestamptz not null,       -- exchange time of the answer
    best_yes_bid       numeric(7, 4),
    best_yes_ask       numeric(7, 4),
    best_no_bid        numeric(7, 4),
    best_no_ask        numeric(7, 4),
    spread             numeric(8, 4),              -- negative in a crossed book
    yes_depth          numeric(20, 2) not null,
    no_depth           numeric(20, 2) not null,
    slippage_buy_100   numeric(13, 9),             -- null: the book is too thin
    slippage_sell_100  numeric(13, 9),
    slippage_buy_1000  numeric(13, 9),
    slippage_sell_1000 numeric(13, 9),
    levels             json not null,              -- as received
    primary key (source, market_ticker, captured_at)
);

create index orderbook_snapshots_time
    on orderbook_snapshots using brin (captured_at);
