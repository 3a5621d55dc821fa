-- Of two replays of the same events the one further on counts: what it is past is done.
insert into replay_places (source, target, bounds, after_event, updated_at)
values ($1, $2, $3, $4, $5)
on conflict (source, target, bounds) do update
set
    after_event = greatest(replay_places.after_event, excluded.after_event),
    updated_at = excluded.updated_at
