-- Whichever shard or host was heard last: there is one exchange, and its clock is one.
select offset_seconds
from exchange_records
where source = $1 and offset_seconds is not null
order by updated_at desc, shard, host
limit 1
