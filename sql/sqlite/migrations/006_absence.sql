-- What is looked at again: names that the exchange refused, lists that were empty, markets that are over.

alter table selection_watches add column known_at text;              -- our clock when the exchange last showed that there is such a thing
alter table selection_watches add column empty_at text;              -- our clock when it was last agreed that it has no market

-- What markets belonged to is known; of the rest the exchange is asked.
update selection_watches
set
    known_at = resolved_at
where
    resolved_at is not null
    and (
        exists (
            select 1 from selection_members m
            where m.source = selection_watches.source and m.watch = selection_watches.watch
        )
        or exists (
            select 1 from prediction_markets p
            where
                p.source = selection_watches.source
                and selection_watches.watch like 'series:%'
                and p.series_ticker = substr(selection_watches.watch, 8)
        )
        or exists (
            select 1 from prediction_markets p
            where
                p.source = selection_watches.source
                and selection_watches.watch like 'event:%'
                and p.event_ticker = substr(selection_watches.watch, 7)
        )
    );

-- Names of the selection that the exchange does not know.
create table refused_names (
    source           text not null,
    name             text not null,                -- such as series:KXTYPO
    first_refused_at text not null,                -- our clock
    checked_at       text not null,                -- our clock when the exchange was last asked
    primary key (source, name)
) strict, without rowid;

-- Those that ended lately are looked at again soon, all others by and by.
create index prediction_markets_over_series
    on prediction_markets (source, series_ticker, checked_at)
    where status in ('finalized', 'vanished');
create index prediction_markets_over_event
    on prediction_markets (source, event_ticker, checked_at)
    where status in ('finalized', 'vanished');
create index prediction_markets_ended_series
    on prediction_markets (source, series_ticker, ended_at)
    where status in ('finalized', 'vanished');
create index prediction_markets_ended_event
    on prediction_markets (source, event_ticker, ended_at)
    where status in ('finalized', 'vanished');
