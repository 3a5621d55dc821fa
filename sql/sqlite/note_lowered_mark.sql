insert into claim_corrections (source, market_ticker, claim, claimed, proven, reason, run_id, corrected_at)
values (?1, ?2, 'synced_until', ?3, null, ?4, ?5, ?6)
