-- The stored trades of each market, counted by the transactions that store them: no question counts the table.

create table trade_counts (
    source        text collate "C" not null,
    market_ticker text collate "C" not null,
    trades        bigint not null,
    last_trade_at timestamptz,                    -- the newest of them
    primary key (source, market_ticker)
) with (fillfactor = 70);

-- A pass that stores trades meanwhile would not be counted.
lock table prediction_market_trades in share mode;

insert into trade_counts (source, market_ticker, trades, last_trade_at)
select source, market_ticker, count(*), max(traded_at)
from prediction_market_trades
group by source, market_ticker;
