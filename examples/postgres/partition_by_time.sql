-- Turns the table of trades into a table of monthly partitions, while passes go on. Run it with psql, as the owner of
-- the table, after `kalshi-ingest migrate`:
--
--     psql -v ON_ERROR_STOP=1 -f examples/postgres/partition_by_time.sql "$DATABASE_URL"
--
-- Choose it if you delete old trades, or if your trades do not fit into memory any more: a month is dropped in an
-- instant, and a pass writes into the small indexes of this month. To keep all trades in pieces of one size, take
-- partition.sql. The two exclude each other, and so do this file and citus.sql or timescale.sql.
--
-- The price. A unique key must contain the partition key, so the key becomes (source, trade_id, traded_at). It promises
-- that the same trade with the same time is stored once. It does not promise more: if the exchange corrects the time of
-- a trade, that trade is stored twice, and this is not noticed as a conflict. All other conflicts are.
--
-- Steps. Each one looks at what is done already. If the file was interrupted, run it again; the whole file can be run
-- at any time, and then adds the months of the next three years. Run it once a year.
--
--   1  looks whether something would be lost, and stops before anything is changed;
--   2  builds the unique index of the new key, while passes go on;
--   3  proves that all trades lie before a cut, the first of the month after next, while passes go on;
--   4  swaps the tables in one short transaction: the old table becomes the partition of all trades before the cut;
--   5  tells the planner about the new tables.
--
-- Finish within a month: from step 3 to step 4 the table takes no trade after the cut.
--
-- Step 4 waits for a lock for five seconds at most; meanwhile passes wait. If it does not get the lock, it stops and
-- has changed nothing: run the file again. A pass that was at work sees the new key and goes on, or exits 5 and the
-- next pass goes on. Nothing is lost and nothing is copied: the old table stays as it is and is the first partition.
-- An empty table is replaced by months from July 2021 on. Trades outside of all months go to the partition
-- prediction_market_trades_other; it is empty as long as there are months ahead.
--
-- Disk: one more index (about 80 bytes for each trade) until step 4 drops the old key.
--
-- To delete old trades, drop partitions and have the program count anew. Prune the raw events of these trades before:
-- `prune` keeps the raw events of trades that are not stored, and `replay` would store the trades again.
--
--     begin;
--     set local lock_timeout = '5s';
--     drop table prediction_market_trades_2027_01;
--     commit;
--
--     kalshi-ingest migrate --recount
--
-- The claims still say that the trades of that time were stored, and `completeness` scores that time low.
--
-- raw_kalshi_trade_events stays as it is. Its unique indexes keep a refused event once, however often it is received,
-- and the time of receipt cannot be a part of them. `kalshi-ingest prune` is its retention.

set timezone = 'UTC';
set client_min_messages = warning;
set statement_timeout = 0;

-- Makes the months from the one after the last month, or from `first`, up to three years from now. Rows of these months
-- that are in prediction_market_trades_other move to their month.
create function pg_temp.add_months(first timestamptz) returns void
language plpgsql
as $$
declare
    whole constant text := 'prediction_market_trades';
    month timestamptz;
    name text;
begin
    select max(to_timestamp(right(c.relname, 7), 'YYYY_MM')) + interval '1 month'
    into month
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    where i.inhparent = whole::regclass and c.relname ~ ('^' || whole || '_\d{4}_\d{2}$');
    month := coalesce(month, first);
    if to_regclass(whole || '_other') is null then
        execute format('create table %I partition of %I default', whole || '_other', whole);
    end if;
    while month < now() + interval '3 years' loop
        name := whole || to_char(month, '_YYYY_MM');
        execute format('create table %I (like %I including all)', name, whole);
        execute format(
            'with moved as (delete from %I where traded_at >= %L and traded_at < %L returning *)
            insert into %I select * from moved',
            whole || '_other', month, month + interval '1 month', name
        );
        execute format(
            'alter table %I attach partition %I for values from (%L) to (%L)',
            whole, name, month, month + interval '1 month'
        );
        month := month + interval '1 month';
    end loop;
end
$$;

-- Step 1.

do $$
declare
    was record;
    lost text;
begin
    select c.*, pg_get_userbyid(c.relowner) as owner, pg_get_partkeydef(c.oid) as part_key
    into was
    from pg_class c
    where c.oid = 'prediction_market_trades'::regclass;
    if was.owner <> current_user then
        raise exception 'prediction_market_trades belongs to %; run this as that role', was.owner;
    end if;
    if was.part_key <> 'RANGE (traded_at)' then
        raise exception 'prediction_market_trades is partitioned by % already; nothing was changed', was.part_key;
    end if;
    if was.relkind <> 'r' then
        return;
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
        select 'constraint ' || conname
        from pg_constraint
        where (conrelid = was.oid and contype in ('f', 'x')) or confrelid = was.oid
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
        union all
        select 'unique index ' || indexrelid::regclass
        from pg_index
        where
            indrelid = was.oid and indisunique and not indisprimary
            and indexrelid is distinct from to_regclass('prediction_market_trades_by_time_key')
        union all
        select 'materialized view ' || m.oid::regclass
        from pg_depend d
        join pg_rewrite r on r.oid = d.objid
        join pg_class m on m.oid = r.ev_class and m.relkind = 'm'
        where d.classid = 'pg_rewrite'::regclass and d.refobjid = was.oid
        union all
        select pg_describe_object(classid, objid, objsubid)
        from pg_depend
        where
            refclassid = 'pg_class'::regclass and refobjid = was.oid and deptype = 'n'
            and classid not in ('pg_rewrite'::regclass, 'pg_constraint'::regclass)
    ) as t (what);
    if lost is not null then
        raise exception 'prediction_market_trades has what would be lost: %', lost
            using hint = 'Remove it, run this again, and make it again on the partitioned table.';
    end if;
end
$$;

select
    relkind = 'p' as is_done,
    to_char(date_trunc('month', now()) + interval '2 months', 'YYYY-MM-DD') as cut,
    to_char(date_trunc('month', now()) + interval '2 months', '"prediction_market_trades_before_"YYYY_MM') as before_cut
from pg_class
where oid = 'prediction_market_trades'::regclass \gset

\if :is_done
\else

-- Step 2. An index that is not valid was left by an interrupted build.

select format('drop index concurrently %s', indexrelid::regclass)
from pg_index
where indexrelid = to_regclass('prediction_market_trades_by_time_key') and not indisvalid \gexec

select 'create unique index concurrently prediction_market_trades_by_time_key
    on prediction_market_trades (source, trade_id, traded_at)'
where to_regclass('prediction_market_trades_by_time_key') is null \gexec

-- Step 3. The cut of an attempt in an earlier month would come too soon.

set lock_timeout = '5s';

select format('alter table prediction_market_trades drop constraint %I', conname)
from pg_constraint
where
    conrelid = 'prediction_market_trades'::regclass and conname like 'prediction\_market\_trades\_before\_%'
    and conname <> :'before_cut' \gexec

select format(
    'alter table prediction_market_trades add constraint %I check (traded_at < %L::timestamptz) not valid',
    :'before_cut', :'cut'
)
where not exists (
    select from pg_constraint where conrelid = 'prediction_market_trades'::regclass and conname = :'before_cut'
) \gexec

select format('alter table prediction_market_trades validate constraint %I', conname)
from pg_constraint
where conrelid = 'prediction_market_trades'::regclass and conname = :'before_cut' and not convalidated \gexec

-- Step 4.

begin;

lock table prediction_market_trades in access exclusive mode;

select set_config('kalshi.cut', :'cut', true), set_config('kalshi.before_cut', :'before_cut', true) \g /dev/null

do $$
declare
    whole constant text := 'prediction_market_trades';
    cut timestamptz := current_setting('kalshi.cut');
    old constant text := current_setting('kalshi.before_cut');
    was record;         -- what the catalog says of the table
    one record;         -- an index
    is_empty boolean;
    remark text;
    indexes text[];
    views text[];
    grants text[];
    command text;
begin
    select * into was from pg_class where oid = whole::regclass;
    if was.relkind <> 'r' then
        raise exception '% was partitioned meanwhile; nothing was changed', whole;
    end if;
    execute format('select not exists (select from %I)', whole) into is_empty;

    -- What is to be made again.
    remark := obj_description(was.oid, 'pg_class');
    select array_agg(pg_get_indexdef(indexrelid) order by indexrelid)
    into indexes
    from pg_index
    where indrelid = was.oid and not indisunique;
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
        'grant %s on %I to %s%s',
        g.privilege_type, whole,
        case g.grantee when 0 then 'public' else g.grantee::regrole::text end,
        case when g.is_grantable then ' with grant option' else '' end
    ))
    into grants
    from aclexplode(was.relacl) g
    where g.grantee <> was.relowner;

    -- The old table keeps its indexes, under names of its own.
    execute format('alter table %I rename to %I', whole, old);
    for one in
        select i.indexrelid, c.relname
        from pg_index i
        join pg_class c on c.oid = i.indexrelid
        where i.indrelid = was.oid and not i.indisunique
    loop
        execute format(
            'alter index %s rename to %I',
            one.indexrelid::regclass, left(old || replace('_' || one.relname, '_' || whole, ''), 63)
        );
    end loop;
    select conname into command from pg_constraint where conrelid = was.oid and contype = 'p';
    execute format('alter table %I drop constraint %I', old, command);
    execute format(
        'alter table %I add constraint %I primary key using index %I',
        old, old || '_pkey', whole || '_by_time_key'
    );

    execute format(
        'create table %I (like %I including all excluding indexes) partition by range (traded_at)', whole, old
    );
    execute format('alter table %I drop constraint %I', whole, old);
    execute format('alter table %I add primary key (source, trade_id, traded_at)', whole);
    foreach command in array coalesce(indexes, '{}') || coalesce(views, '{}') || coalesce(grants, '{}') loop
        execute command;
    end loop;
    if remark is not null then
        execute format('comment on table %I is %L', whole, remark);
    end if;
    if is_empty then
        execute format('drop table %I', old);
        cut := '2021-07-01';
    else
        -- By the constraint of step 3 no row is looked at, and the indexes are taken as they are.
        execute format('alter table %I attach partition %I for values from (minvalue) to (%L)', whole, old, cut);
        execute format('alter table %I drop constraint %I', old, old);
    end if;
    perform pg_temp.add_months(cut);
end
$$;

commit;

\endif

-- Step 5. The months ahead, if the table was partitioned already; and the figures of the whole table, which autovacuum
-- does not gather.

set lock_timeout = '5s';
begin;
lock table prediction_market_trades in access exclusive mode;
select pg_temp.add_months(date_trunc('month', now())) \g /dev/null
commit;
reset lock_timeout;

analyze prediction_market_trades;
