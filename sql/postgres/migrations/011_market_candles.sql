-- The exchange's own candles: quotes, prices and volume of a market in each minute or hour.

create table market_candles (
    source           text collate "C" not null,
    market_ticker    text collate "C" not null,
    interval_minutes smallint not null check (interval_minutes in (1, 60)),
    ends_at          timestamptz not null,              -- the end belongs to the period
    yes_bid_open     numeric(7, 4),                     -- cents, like all prices
    yes_bid_low      numeric(7, 4),
    yes_bid_high     numeric(7, 4),
    yes_bid_close    numeric(7, 4),
    yes_ask_open     numeric(7, 4),
    yes_ask_low      numeric(7, 4),
    yes_ask_high     numeric(7, 4),
    yes_ask_close    numeric(7, 4),
    price_open       numeric(7, 4),                     -- null without a trade
    price_low        numeric(7, 4),
    price_high       numeric(7, 4),
    price_close      numeric(7, 4),
    price_mean       numeric(7, 4),
    price_previous   numeric(7, 4),                     -- the last price before the period
    volume           numeric(18, 2) not null,           -- contracts
    open_interest    numeric(18, 2),
    is_final         boolean not null,                  -- it had been over for ten minutes when it was read
    fetched_at       timestamptz not null,              -- exchange time of the answer
    primary key (source, market_ticker, interval_minutes, ends_at)
);
