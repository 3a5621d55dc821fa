-- One-minute bars of all markets of one day of UTC, in cents of YES. Minutes without a trade have no bar.
select ticker, starts_at, open, high, low, close, volume, trades
from candles_1m
where hour >= '2026-11-22T00:00:00.000000Z' and hour < '2026-11-23T00:00:00.000000Z'
order by ticker, starts_at;
