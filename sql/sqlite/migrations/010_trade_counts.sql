-- The stored trades of each market, counted by the transactions that store them: no question counts the table.

create table trade_counts (
    source        text not null,
    market_ticker text not null,
    trades        integer not null,
    last_trade_at text,                           -- the newest of them
    primary key (source, market_ticker)
) strict, without rowid;

insert into trade_counts (source, market_ticker, trades, last_trade_at)
select source, market_ticker, count(*), max(traded_at)
from prediction_market_trades
group by source, market_ticker;
