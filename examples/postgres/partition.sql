-- Turns the two big tables into tables of 16 hash partitions each. Run it as their owner:
--
--     psql -v ON_ERROR_STOP=1 -f examples/postgres/partition.sql "$DATABASE_URL"
--
-- Why: vacuum, reindex and dumps go piece by piece, and no index is bigger than a sixteenth. A pass gets no faster:
-- storing a batch takes about a third longer. By hash and not by time, because a unique key must contain the
-- partition key, and (source, trade_id) is what keeps a trade from being stored twice:
--
-- * prediction_market_trades by trade_id, evenly;
-- * raw_kalshi_trade_events by market_ticker, the one column of the key that keeps a refused event from
--   being stored twice: as evenly as your markets trade. Its primary key becomes (event_id, market_ticker);
--   event_id still comes from the identity, which goes on where it was and gives no number twice.
--
-- What it costs: until the end a second copy of both tables on disk and in the WAL, and nobody reads or writes them
-- meanwhile: some 10 seconds for each million of trades with their events. Passes exit 5 in that time and lose
-- nothing; the next one goes on. It is one transaction: if it is broken off, nothing has changed.
--
-- What comes along: rows, checks, defaults, indexes under their names, grants, and views, also
-- those you made. It refuses what would be lost: triggers, policies and the like.
--
-- Afterwards: autovacuum looks after each partition but never analyzes the whole; run
-- `analyze prediction_market_trades, raw_kalshi_trade_events` from time to time. The program needs no setting.

begin;

set local lock_timeout = '1min';    -- whoever waits for these locks keeps everybody else out
set local statement_timeout = 0;
lock table prediction_market_trades, raw_kalshi_trade_events in access exclusive mode;

do $$
declare
    partitions constant integer := 16;
    big record;         -- a table, and what it becomes
    was record;         -- what the catalog says of it
    target text;        -- its name in full, and that of the old table until it is dropped
    whole text;
    lost text;
    names text;         -- its columns
    identity record;
    place bigint;       -- of the identity's sequence
    has_counted boolean;
    indexes text[];
    views text[];
    grants text[];
    remark text;        -- on the table
    command text;
    done integer := 0;
begin
    for big in
        select *
        from (
            values
                ('prediction_market_trades', 'trade_id', 'source, trade_id'),
                ('raw_kalshi_trade_events', 'market_ticker', 'event_id, market_ticker')
        ) as t (name, hashed, key)
    loop
        select c.*, n.nspname, pg_get_userbyid(c.relowner) as owner
        into was
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        where c.oid = big.name::regclass;
        continue when was.relkind = 'p';
        if was.owner <> current_user then
            raise exception '% belongs to %; run this as that role', big.name, was.owner;
        end if;

        select string_agg(what, ', ')
        into lost
        from (
            select 'trigger ' || tgname from pg_trigger where tgrelid = was.oid and not tgisinternal
            union all
            select 'policy ' || polname from pg_policy where polrelid = was.oid
            union all
            select 'row security' where was.relrowsecurity
            union all
            select 'constraint ' || conname from pg_constraint where conrelid = was.oid and contype in ('f', 'x')
            union all
            select 'publication ' || p.pubname
            from pg_publication_rel r
            join pg_publication p on p.oid = r.prpubid
            where r.prrelid = was.oid
            union all
            select 'inheritance' from pg_inherits where was.oid in (inhrelid, inhparent)
            union all
            select 'grants on column ' || attname from pg_attribute where attrelid = was.oid and attacl is not null
            union all
            select 'setting ' || setting from unnest(was.reloptions) as setting
        ) as t (what);
        if lost is not null then
            raise exception '% has what would be lost: %', big.name, lost
                using hint = 'Remove it, run this again, and make it again on the partitioned table.';
        end if;

        -- What is to be made again.
        remark := obj_description(was.oid, 'pg_class');
        target := format('%I.%I', was.nspname, big.name);
        whole := format('%I.%I', was.nspname, big.name || '_whole');
        select string_agg(quote_ident(attname), ', ' order by attnum)
        into names
        from pg_attribute
        where attrelid = was.oid and attnum > 0 and not attisdropped and attgenerated = '';
        select array_agg(pg_get_indexdef(indexrelid) order by indexrelid)
        into indexes
        from pg_index
        where indrelid = was.oid and not indisprimary;
        select array_agg(distinct format(
            'create or replace view %s%s as %s',
            v.oid::regclass, ' with (' || array_to_string(v.reloptions, ', ') || ')', pg_get_viewdef(v.oid)
        ))
        into views
        from pg_depend d
        join pg_rewrite r on r.oid = d.objid
        join pg_class v on v.oid = r.ev_class
        where d.classid = 'pg_rewrite'::regclass and d.refobjid = was.oid and v.relkind = 'v';
        select array_agg(format(
            'grant %s on %s to %s%s',
            g.privilege_type, target,
            case g.grantee when 0 then 'public' else g.grantee::regrole::text end,
            case when g.is_grantable then ' with grant option' else '' end
        ))
        into grants
        from aclexplode(was.relacl) g
        where g.grantee <> was.relowner;
        select a.attname, s.relname
        into identity
        from pg_attribute a
        join pg_class s on s.oid = pg_get_serial_sequence(target, a.attname)::regclass
        where a.attrelid = was.oid and a.attidentity <> '';
        if identity.relname is not null then
            execute format('select last_value, is_called from %s', pg_get_serial_sequence(target, identity.attname))
            into place, has_counted;
        end if;

        execute format('alter table %s rename to %I', target, big.name || '_whole');
        execute format(
            'create table %s (like %s including all excluding indexes) partition by hash (%I)',
            target, whole, big.hashed
        );
        for part in 0 .. partitions - 1 loop
            execute format(
                'create table %I.%I partition of %s for values with (modulus %s, remainder %s)',
                was.nspname, big.name || '_p' || lpad(part::text, 2, '0'), target, partitions, part
            );
        end loop;
        execute format('insert into %s (%s) overriding system value select %2$s from %3$s', target, names, whole);

        foreach command in array coalesce(views, '{}') loop
            execute command;
        end loop;
        -- If something else hangs on the old table, this is where all ends.
        execute format('drop table %s', whole);
        execute format('alter table %s add primary key (%s)', target, big.key);
        foreach command in array coalesce(indexes, '{}') || coalesce(grants, '{}') loop
            execute command;
        end loop;
        if identity.relname is not null then
            command := pg_get_serial_sequence(target, identity.attname);
            perform setval(command::regclass, place, has_counted);
            execute format('alter sequence %s rename to %I', command, identity.relname);
        end if;
        if remark is not null then
            execute format('comment on table %s is %L', target, remark);
        end if;
        execute format('analyze %s', target);
        done := done + 1;
    end loop;
    if done = 0 then
        raise exception 'both tables are partitioned already; nothing was changed';
    end if;
end
$$;

commit;
