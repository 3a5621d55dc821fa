-- Of the last runs, whatever they read.
select total(tape_trades) / sum(tape_seconds) as rate
from (
    select tape_trades, tape_seconds
    from ingestion_runs
    order by run_id desc
    limit 30
) as t
where tape_seconds > 0
