-- The newest trade that any pass has seen, but for nonsense later than $2.
select max(traded_at) as traded_at
from (
    select max(last_trade_at) as traded_at
    from ingestion_checkpoints
    where source = $1 and last_trade_at <= $2
    union all
    select max(newest_at)
    from exchange_records
    where source = $1 and newest_at <= $2
) as t
