-- Three roles with no more rights than each needs. In the program's database, as a superuser, or as its owner with the right to create roles:
--
--     psql -v ON_ERROR_STOP=1 -f examples/postgres/roles.sql "$DATABASE_URL"
--     DATABASE_URL=postgres://kalshi_owner@… kalshi-ingest migrate
--     psql -v ON_ERROR_STOP=1 -f examples/postgres/roles.sql "$DATABASE_URL"
--
-- * kalshi_owner owns the tables: `migrate`, `replay --into`, partition.sql.
-- * kalshi_ingest reads, inserts and updates, and deletes where the program does: every other command, from cron.
-- * kalshi_reader reads: `status`, `serve`, `export`, dashboards, analysts.
--
-- The second time is for the tables that the first could not know; do it again after an upgrade that migrated. It can be
-- run as often as you like and ends with the same rights. Tables that are there already change their owner. New tables
-- can be read, inserted into and updated at once, by default privileges.
--
-- No role has a password: give each one with psql's \password, or use certificates or a socket. When the schema is behind
-- the program, kalshi_ingest and kalshi_reader are refused (5) and told to have kalshi_owner run `migrate`.
--
-- It takes the right to make tables in this schema from everybody else (before PostgreSQL 15 all roles had it).

begin;

do $$
declare
    home constant text := current_schema();
    -- What the program deletes: pruned events, markets that left an event or series, finished replays.
    deleted_from constant text[] := array[
        'raw_kalshi_trade_events', 'selection_watches', 'selection_members', 'refused_names', 'replay_places'
    ];
    -- What it never changes once it is there.
    only_added_to constant text[] := array[
        'prediction_market_trades', 'raw_kalshi_trade_events', 'market_status_changes', 'market_changes', 'orderbook_snapshots',
        'completeness_scores', 'claim_corrections', 'trade_hours', 'kalshi_ingest_migrations'
    ];
    name text;
begin
    foreach name in array array['kalshi_owner', 'kalshi_ingest', 'kalshi_reader'] loop
        if not exists (select from pg_roles where rolname = name) then
            execute format('create role %I login', name);
        end if;
    end loop;
    -- Who is no superuser can give a table only to a role that is theirs, too.
    if not pg_has_role(current_user, 'kalshi_owner', 'usage') then
        execute format('grant kalshi_owner to %I', current_user);
    end if;

    execute format('revoke create on schema %I from public', home);
    execute format('grant usage, create on schema %I to kalshi_owner', home);
    execute format('grant usage on schema %I to kalshi_ingest, kalshi_reader', home);

    -- Partitions too; sequences come along; what an extension made stays its own.
    for name in
        select c.oid::regclass
        from pg_class c
        where c.relnamespace = home::regnamespace
            and c.relkind in ('r', 'p', 'v', 'm')
            and c.relowner <> 'kalshi_owner'::regrole
            and not exists (select from pg_depend d where d.objid = c.oid and d.classid = 'pg_class'::regclass and d.deptype = 'e')
    loop
        execute format('alter table %s owner to kalshi_owner', name);
    end loop;

    execute format('revoke all on all tables in schema %I from kalshi_ingest, kalshi_reader', home);
    execute format('revoke all on all sequences in schema %I from kalshi_ingest, kalshi_reader', home);
    execute format('grant select, insert, update on all tables in schema %I to kalshi_ingest', home);
    execute format('grant usage on all sequences in schema %I to kalshi_ingest', home);
    execute format('grant select on all tables in schema %I to kalshi_reader', home);
    foreach name in array only_added_to loop
        if to_regclass(format('%I.%I', home, name)) is not null then
            execute format('revoke update on %I.%I from kalshi_ingest', home, name);
        end if;
    end loop;
    foreach name in array deleted_from loop
        if to_regclass(format('%I.%I', home, name)) is not null then
            execute format('grant delete on %I.%I to kalshi_ingest', home, name);
        end if;
    end loop;
    -- A view is written to with the rights of its owner.
    for name in select c.oid::regclass from pg_class c where c.relnamespace = home::regnamespace and c.relkind = 'v' loop
        execute format('revoke insert, update on %s from kalshi_ingest', name);
    end loop;
    if to_regclass(format('%I.kalshi_ingest_migrations', home)) is not null then
        execute format('revoke insert on %I.kalshi_ingest_migrations from kalshi_ingest', home);
    end if;

    name := format('alter default privileges for role kalshi_owner in schema %I ', home);
    execute name || 'grant select, insert, update on tables to kalshi_ingest';
    execute name || 'grant usage on sequences to kalshi_ingest';
    execute name || 'grant select on tables to kalshi_reader';
end
$$;

commit;
