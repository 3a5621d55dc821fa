-- The latest score of each market scored since $2, the lowest first.
select s.market_ticker, m.event_ticker, m.series_ticker, s.score, s.scored_at
from (
    select distinct on (market_ticker) source, market_ticker, score, scored_at
    from completeness_scores
    where source = $1 and scored_at >= $2
    order by market_ticker, scored_at desc, score_id desc
) as s
left join prediction_markets m on m.source = s.source and m.market_ticker = s.market_ticker
order by s.score, s.market_ticker
limit $3
