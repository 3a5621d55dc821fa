-- The hours in which each market traded, noted by the transactions that store its trades: a question about some hours
-- of all markets reads no other trades.

create table trade_hours (
    market_ticker text not null,
    starts_at     text not null,
    source        text not null,
    primary key (market_ticker, starts_at, source)
) strict, without rowid;

create index trade_hours_time on trade_hours (starts_at);

insert into trade_hours (market_ticker, starts_at, source)
select distinct market_ticker, substr(traded_at, 1, 13) || ':00:00.000000Z', source
from prediction_market_trades;
