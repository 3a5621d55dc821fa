-- The exchange's own candles: quotes, prices and volume of a market in each minute or hour.

create table market_candles (
    source            text not null,
    market_ticker     text not null,
    interval_minutes  integer not null check (interval_minutes in (1, 60)),
    ends_at           text not null,                    -- the end belongs to the period
    yes_bid_open_e4   integer,                          -- 0.0001 cent, like all prices
    yes_bid_open      real generated always as (yes_bid_open_e4 / 10000.0) virtual,
    yes_bid_low_e4    integer,
    yes_bid_low       real generated always as (yes_bid_low_e4 / 10000.0) virtual,
    yes_bid_high_e4   integer,
    yes_bid_high      real generated always as (yes_bid_high_e4 / 10000.0) virtual,
    yes_bid_close_e4  integer,
    yes_bid_close     real generated always as (yes_bid_close_e4 / 10000.0) virtual,
    yes_ask_open_e4   integer,
    yes_ask_open      real generated always as (yes_ask_open_e4 / 10000.0) virtual,
    yes_ask_low_e4    integer,
    yes_ask_low       real generated always as (yes_ask_low_e4 / 10000.0) virtual,
    yes_ask_high_e4   integer,
    yes_ask_high      real generated always as (yes_ask_high_e4 / 10000.0) virtual,
    yes_ask_close_e4  integer,
    yes_ask_close     real generated always as (yes_ask_close_e4 / 10000.0) virtual,
    price_open_e4     integer,                          -- null without a trade
    price_open        real generated always as (price_open_e4 / 10000.0) virtual,
    price_low_e4      integer,
    price_low         real generated always as (price_low_e4 / 10000.0) virtual,
    price_high_e4     integer,
    price_high        real generated always as (price_high_e4 / 10000.0) virtual,
    price_close_e4    integer,
    price_close       real generated always as (price_close_e4 / 10000.0) virtual,
    price_mean_e4     integer,
    price_mean        real generated always as (price_mean_e4 / 10000.0) virtual,
    price_previous_e4 integer,                          -- the last price before the period
    price_previous    real generated always as (price_previous_e4 / 10000.0) virtual,
    volume_e2         integer not null,                 -- 0.01 contract
    volume            real generated always as (volume_e2 / 100.0) virtual,
    open_interest_e2  integer,
    open_interest     real generated always as (open_interest_e2 / 100.0) virtual,
    is_final          integer not null check (is_final in (0, 1)), -- over for ten minutes when it was read
    fetched_at        text not null,                    -- exchange time of the answer
    primary key (source, market_ticker, interval_minutes, ends_at)
) strict;
