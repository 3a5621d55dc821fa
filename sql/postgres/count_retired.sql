select count(*) as retired
from ingestion_checkpoints
where source = $1 and retired_at is not null
