-- What was paid out is over already, and its status says more.
update prediction_markets
set
    status = 'vanished',
    ended_at = ?3,
    updated_at = ?3
where source = ?1 and market_ticker = ?2 and status not in ('finalized', 'vanished')
