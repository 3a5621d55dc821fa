-- The changes of the terms of markets: rules, strikes, price grid, times.

-- The terms that were last seen, as texts; null: not seen since this step.
alter table prediction_markets add column terms text;

-- Append-only: one row for each term that changed.
create table market_changes (
    change_id      integer primary key,
    source         text not null,
    market_ticker  text not null,
    field          text not null,                -- as the exchange names it
    previous_value text,                         -- null: there was none
    value          text,                         -- null: there is none any more
    observed_at    text not null                 -- exchange time of the answer that said it
) strict;

create index market_changes_market_time
    on market_changes (market_ticker, observed_at);
