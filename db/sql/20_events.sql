-- What changed in watched tables, and which Airflow run was told.

CREATE TABLE IF NOT EXISTS training_deliveries (
    dag_run_id text PRIMARY KEY,
    state text NOT NULL DEFAULT 'claimed' CHECK (state IN ('claimed', 'accepted')),
    conf jsonb NOT NULL,
    oldest_event_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    accepted_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    last_error text
);
CREATE INDEX IF NOT EXISTS training_deliveries_claimed ON training_deliveries (created_at) WHERE state = 'claimed';

-- A writer pays for every constraint and index here, so there are no more than these, and no primary key: only the
-- trigger inserts, with ids of its sequence, and only the relay's one claiming statement sets dag_run_id.
CREATE TABLE IF NOT EXISTS training_events (
    id bigint GENERATED ALWAYS AS IDENTITY,
    table_name text NOT NULL,  -- quoted and qualified where needed, as regclass prints it
    operation text NOT NULL,   -- INSERT, UPDATE, DELETE or TRUNCATE
    rows bigint,               -- null: not counted, as for TRUNCATE
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    dag_run_id text            -- of training_deliveries; null while pending
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.1);
-- All that the relay polls: its size is that of what is pending, however long the history grows.
CREATE INDEX IF NOT EXISTS training_events_pending ON training_events (id) WHERE dag_run_id IS NULL;
-- All other events, for who looks up one of them: the relay's claim pays for it, and no writer does.
CREATE INDEX IF NOT EXISTS training_events_claimed ON training_events (id) WHERE dag_run_id IS NOT NULL;
-- Without a primary key this is what a publication of the whole database asks for. Only once: it locks writers out.
DO $$
BEGIN
    IF (SELECT relreplident FROM pg_class WHERE oid = 'training_events'::regclass) <> 'f' THEN
        ALTER TABLE training_events DROP CONSTRAINT IF EXISTS training_events_pkey, REPLICA IDENTITY FULL;
    END IF;
END
$$;

-- Before an INSERT into a plain table: remembers, for this transaction, how many rows the server has counted into it so
-- far. A list, newest first, because a trigger of the user's may insert into the same table again meanwhile.
-- Runs with the writer's rights and search_path, in which nothing may stand in for what is called here.
CREATE OR REPLACE FUNCTION note_training_insert() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    variable text := pg_catalog.concat('training.inserted_', TG_RELID);
    noted text := pg_catalog.set_config(variable, pg_catalog.concat(
        pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID), ' ', pg_catalog.current_setting(variable, true)), true);
BEGIN
    RETURN NULL;
END
$$;

-- After a statement, in the writer's transaction and with the rights of this function's owner: writers need none of
-- their own. Rows are counted by a transition table, except for INSERT into a plain table (argument 'counter'):
-- there the transition table would copy every row, which makes a large COPY slower by a fifth, so the server's own
-- counter is read instead. Each expression costs a single-row INSERT a third of a microsecond, a PERFORM several times
-- that: hence few of the one and none of the other.
CREATE OR REPLACE FUNCTION record_training_event() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    noted text;
    counted bigint;
BEGIN
    IF TG_NARGS = 1 THEN
        noted := current_setting('training.inserted_' || TG_RELID, true);
        counted := pg_stat_get_xact_tuples_inserted(TG_RELID) - nullif(split_part(noted, ' ', 1), '')::bigint;
        noted := set_config('training.inserted_' || TG_RELID, substr(noted, strpos(noted, ' ') + 1), true);
    ELSIF TG_OP <> 'TRUNCATE' THEN
        SELECT count(*) INTO counted FROM changed;
    ELSIF pg_partition_root(TG_RELID) IS NOT NULL THEN
        -- TRUNCATE of a partitioned table fires for each partition too, but is one event.
        noted := pg_partition_root(TG_RELID) || ' ' || statement_timestamp();
        IF current_setting('training.truncated', true) = noted THEN
            RETURN NULL;
        END IF;
        noted := set_config('training.truncated', noted, true);
    END IF;
    IF counted = 0 THEN
        IF TG_NARGS = 0 OR current_setting('track_counts')::boolean THEN
            RETURN NULL;
        END IF;
        counted := NULL;
    END IF;

    -- An event of a partition is the whole table's. For the usual table its name is put together the cheap way: as
    -- regclass prints it, it costs a single-row INSERT several times that.
    INSERT INTO public.training_events (table_name, operation, rows)
    VALUES (CASE WHEN TG_TABLE_SCHEMA = 'public' AND pg_partition_root(TG_RELID) IS NULL
                 THEN quote_ident(TG_TABLE_NAME)
                 ELSE regexp_replace(coalesce(pg_partition_root(TG_RELID), TG_RELID)::regclass::text, '^public\.', '')
            END, TG_OP, counted);
    RETURN NULL;
END
$$;

-- Attaches the triggers to a table and, where it is partitioned, to each of its partitions: a write to a partition
-- fires only the partition's own. Call it again after adding partitions that are written to directly; repeating it
-- is harmless. Runs with the caller's rights, so PostgreSQL asks for TRIGGER on the table.
CREATE OR REPLACE FUNCTION watch_training_table(watched regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part regclass;
    plain boolean;
BEGIN
    IF watched = ANY (ARRAY['public.training_events', 'public.training_deliveries', 'public.training_datasets',
                            'public.training_jobs', 'public.training_coverage', 'public.promotion_ledger']::regclass[]) THEN
        RAISE EXCEPTION '% is one of the platform''s own tables: watch a table of training rows', watched
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_class WHERE oid = watched AND relkind IN ('r', 'p') AND relpersistence <> 't') THEN
        RAISE EXCEPTION '% is not a lasting table: watch the table that holds the rows', watched
            USING ERRCODE = 'wrong_object_type';
    END IF;
    FOR part, plain IN
        SELECT oid, relkind = 'r' FROM pg_class
        WHERE oid IN (SELECT watched UNION SELECT relid FROM pg_partition_tree(watched)) AND relkind IN ('r', 'p')
    LOOP
        IF plain THEN
            EXECUTE format('CREATE OR REPLACE TRIGGER training_event_note BEFORE INSERT ON %s'
                ' FOR EACH STATEMENT EXECUTE FUNCTION public.note_training_insert()', part);
            EXECUTE format('CREATE OR REPLACE TRIGGER training_event_insert AFTER INSERT ON %s'
                ' FOR EACH STATEMENT EXECUTE FUNCTION public.record_training_event(''counter'')', part);
        ELSE
            EXECUTE format('CREATE OR REPLACE TRIGGER training_event_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS'
                ' changed FOR EACH STATEMENT EXECUTE FUNCTION public.record_training_event()', part);
        END IF;
        EXECUTE format('CREATE OR REPLACE TRIGGER training_event_update AFTER UPDATE ON %s REFERENCING NEW TABLE AS'
            ' changed FOR EACH STATEMENT EXECUTE FUNCTION public.record_training_event()', part);
        EXECUTE format('CREATE OR REPLACE TRIGGER training_event_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS'
            ' changed FOR EACH STATEMENT EXECUTE FUNCTION public.record_training_event()', part);
        EXECUTE format('CREATE OR REPLACE TRIGGER training_event_truncate AFTER TRUNCATE ON %s'
            ' FOR EACH STATEMENT EXECUTE FUNCTION public.record_training_event()', part);
    END LOOP;
END
$$;

-- Takes the triggers off again; what they recorded stays. PostgreSQL asks for the ownership of the table.
CREATE OR REPLACE FUNCTION unwatch_training_table(watched regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part regclass;
    name text;
BEGIN
    FOR part, name IN
        SELECT t.tgrelid, t.tgname
        FROM pg_trigger t
        WHERE t.tgrelid IN (SELECT watched UNION SELECT relid FROM pg_partition_tree(watched))
          AND t.tgfoid IN ('public.record_training_event'::regproc, 'public.note_training_insert'::regproc)
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', name, part);
    END LOOP;
END
$$;

REVOKE EXECUTE ON FUNCTION note_training_insert(), record_training_event(),
    watch_training_table(regclass), unwatch_training_table(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION note_training_insert(), record_training_event(),
    watch_training_table(regclass), unwatch_training_table(regclass) TO platform;
GRANT SELECT, DELETE, UPDATE (dag_run_id) ON training_events TO platform;
GRANT SELECT, INSERT, UPDATE, DELETE ON training_deliveries TO platform;
