-- Contracts, dollars and trades of each series by day of UTC, for three days.
select series, day, sum(quantity) as volume, sum(notional_usd) as notional_usd, count(*) as trades
from trades
where traded_at >= '2026-11-20T00:00:00.000000Z' and traded_at < '2026-11-23T00:00:00.000000Z'
group by series, day
order by series, day;
