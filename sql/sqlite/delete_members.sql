delete from selection_members
where source = ?1 and watch = ?2 and market_ticker = ?3
