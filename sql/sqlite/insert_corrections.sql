insert into claim_corrections
    (source, market_ticker, claim, claimed, proven, reason, run_id, corrected_at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
