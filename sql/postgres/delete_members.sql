delete from selection_members m
using unnest($2::text[], $3::text[]) as o (watch, market_ticker)
where m.source = $1 and m.watch = o.watch and m.market_ticker = o.market_ticker
