-- The hours in which each market traded, noted by the transactions that store its trades: a question about some hours
-- of all markets reads no other trades.

create table trade_hours (
    market_ticker text collate "C" not null,
    starts_at     timestamptz not null,
    source        text collate "C" not null,
    primary key (market_ticker, starts_at, source)
);

create index trade_hours_time on trade_hours (starts_at);

-- A pass that stores trades meanwhile would not be noted.
lock table prediction_market_trades in share mode;

insert into trade_hours (market_ticker, starts_at, source)
select distinct market_ticker, date_trunc('hour', traded_at at time zone 'UTC') at time zone 'UTC', source
from prediction_market_trades;
