insert into claim_corrections
    (source, market_ticker, claim, claimed, proven, reason, run_id, corrected_at)
select $1, market_ticker, claim, claimed, proven, reason, $7, $8
from unnest($2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[])
    as t (market_ticker, claim, claimed, proven, reason)
