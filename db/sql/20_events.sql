-- What changed in watched tables: the trigger's functions.
SET search_path = pg_catalog, pg_temp;

-- All events, once for each classifier that the table belongs to, '' where there is none; dag_run_id is null while no
-- run has been started for one.
CREATE OR REPLACE VIEW public.training_events AS
SELECT q.id, q.table_name, q.operation, q.rows, q.created_at, NULL::text AS dag_run_id,
       coalesce(c.name, '') AS classifier
FROM public.training_event_queue q
LEFT JOIN public.classifiers c ON c.retired_at IS NULL AND q.table_name IN (c.train_table, c.test_table)
UNION ALL
SELECT id, table_name, operation, rows, created_at, dag_run_id, classifier FROM public.training_event_history;

-- Whether rows came is told by the server's own counter, read before and after: a transition table would copy every
-- row, which makes a large COPY slower by a fifth and more. What was read before has to be kept where the writer's
-- statement cannot reach it, and costs little: in a setting of the transaction, of those that take the right to set
-- them, which the owner of these functions has. backtrace_functions takes any word and does nothing with a number.
-- The note is the table and its counter in one number, so that a note of another table is not taken for this one's.
--
-- Every expression is prepared anew in each transaction, which is most of what a single-row INSERT pays: hence so few.
CREATE OR REPLACE FUNCTION public.note_training_insert() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    noted text := set_config('backtrace_functions',
                             (TG_RELID::bigint * 2147483648 + pg_stat_get_xact_tuples_inserted(TG_RELID))::text, true);
BEGIN
    RETURN NEW;  -- is null here, and costs less than to say NULL, which would be one more expression
END
$$;

-- After an INSERT into a plain table. Writers need no rights of their own for what they add to the queue.
CREATE OR REPLACE FUNCTION public.record_training_insert() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    counted bigint := TG_RELID::bigint * 2147483648 + pg_stat_get_xact_tuples_inserted(TG_RELID)
                      - nullif(current_setting('backtrace_functions'), '')::bigint;
BEGIN
    IF counted BETWEEN 1 AND 1000000000 AND TG_TABLE_SCHEMA IN ('datasets', 'public') THEN  -- the usual case
        INSERT INTO public.training_event_queue (table_name, operation, rows)
        VALUES (quote_ident(TG_TABLE_NAME), 'INSERT', counted);
        RETURN NEW;
    END IF;
    IF counted = 0 THEN
        -- An INSERT around this one, which its function or trigger runs for, must not take this one's note for its own.
        PERFORM set_config('backtrace_functions', '', true);
        IF current_setting('track_counts')::boolean THEN
            RETURN NEW;
        END IF;
    END IF;
    -- Without a note of this table and statement, rows may have come: how many is not known.
    INSERT INTO public.training_event_queue (table_name, operation, rows)
    VALUES (regexp_replace(TG_RELID::regclass::text, '^(public|datasets)\.', ''), 'INSERT',
            CASE WHEN counted BETWEEN 1 AND 1000000000 THEN counted END);
    RETURN NEW;
END
$$;

-- After any other statement: rows are counted by a transition table, and an event of a partition is the whole table's.
CREATE OR REPLACE FUNCTION public.record_training_event() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    root regclass := pg_partition_root(TG_RELID);
    name text := regexp_replace(coalesce(root, TG_RELID)::regclass::text, '^(public|datasets)\.', '');
    counted bigint;
BEGIN
    IF TG_OP <> 'TRUNCATE' THEN
        SELECT count(*) INTO counted FROM changed;
        IF counted = 0 THEN
            RETURN NULL;
        END IF;
    -- TRUNCATE of a partitioned table fires for each partition too, but is one event.
    ELSIF root IS NOT NULL AND EXISTS (
        SELECT FROM public.training_event_queue q
        WHERE q.xmin = pg_current_xact_id()::xid AND q.table_name = name AND q.operation = 'TRUNCATE'
          AND q.created_at >= statement_timestamp()
    ) THEN
        RETURN NULL;
    END IF;
    INSERT INTO public.training_event_queue (table_name, operation, rows) VALUES (name, TG_OP, counted);
    RETURN NULL;
END
$$;

-- The triggers that a watched table lacks, each as the statement that puts it on: of a partitioned table those of all its
-- partitions too, for a write to a partition fires only the partition's own. Takes no lock.
CREATE OR REPLACE FUNCTION public.missing_training_triggers(watched regclass)
RETURNS TABLE (part regclass, statement text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE parts AS (
        SELECT c.oid, c.relkind, c.relispartition FROM pg_class c WHERE c.oid = watched
        UNION ALL
        SELECT c.oid, c.relkind, c.relispartition
        FROM parts JOIN pg_inherits i ON i.inhparent = parts.oid JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition
    ), wanted (plain, name, moment, rows, function, kind) AS (  -- kind: as pg_trigger.tgtype has it
        VALUES (true, 'training_event_note', 'BEFORE INSERT', NULL, 'note_training_insert', 6),
               (true, 'training_event_insert', 'AFTER INSERT', NULL, 'record_training_insert', 4),
               (false, 'training_event_insert', 'AFTER INSERT', 'NEW', 'record_training_event', 4),
               (NULL, 'training_event_update', 'AFTER UPDATE', 'NEW', 'record_training_event', 16),
               (NULL, 'training_event_delete', 'AFTER DELETE', 'OLD', 'record_training_event', 8),
               (NULL, 'training_event_truncate', 'AFTER TRUNCATE', NULL, 'record_training_event', 32)
    )
    SELECT p.oid, format('CREATE OR REPLACE TRIGGER %I %s ON %s%s FOR EACH STATEMENT EXECUTE FUNCTION public.%I()',
                         w.name, w.moment, p.oid::regclass, ' REFERENCING ' || w.rows || ' TABLE AS changed', w.function)
    FROM parts p JOIN wanted w ON coalesce(w.plain = (p.relkind = 'r' AND NOT p.relispartition), true)
    WHERE p.relkind IN ('r', 'p') AND NOT EXISTS (
        SELECT FROM pg_trigger t
        WHERE t.tgrelid = p.oid AND t.tgname = w.name AND t.tgtype = w.kind AND t.tgenabled IN ('O', 'A')
          AND t.tgfoid = to_regprocedure('public.' || w.function || '()')
          AND t.tgnewtable IS NOT DISTINCT FROM CASE w.rows WHEN 'NEW' THEN 'changed'::name END
          AND t.tgoldtable IS NOT DISTINCT FROM CASE w.rows WHEN 'OLD' THEN 'changed'::name END)
$$;

-- Attaches the triggers to a table and to each of its partitions. Call it again after adding partitions that are written
-- to directly. Where nothing is missing it takes no lock; else writers of the table wait for it, so that it waits for them
-- for a moment only. Runs with the caller's rights, so PostgreSQL asks for TRIGGER on the table.
CREATE OR REPLACE FUNCTION public.watch_training_table(watched regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
DECLARE
    missing text;
BEGIN
    IF EXISTS (SELECT FROM pg_class WHERE oid = watched AND relnamespace IN (
        to_regnamespace('prediction_log'), to_regnamespace('label_queue')
    ) OR oid = watched AND relnamespace = 'public'::regnamespace AND relname IN (
        'training_event_queue', 'training_event_history', 'training_deliveries', 'training_untrained',
        'training_leader', 'training_schema', 'classifiers', 'training_jobs', 'training_coverage', 'training_versions',
        'promotion_ledger'
    )) THEN
        RAISE EXCEPTION '% is one of the platform''s own tables: watch a table of training rows', watched
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_class WHERE oid = watched AND relkind IN ('r', 'p') AND relpersistence <> 't') THEN
        RAISE EXCEPTION '% is not a lasting table: watch the table that holds the rows', watched
            USING ERRCODE = 'wrong_object_type';
    END IF;
    FOR missing IN SELECT m.statement FROM public.missing_training_triggers(watched) m LOOP
        EXECUTE missing;
    END LOOP;
    IF EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = watched AND NOT c.relispartition) THEN
        RAISE WARNING 'tables inherit from %: runs train on their rows, and what is written into them starts none', watched;
    END IF;
EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION '% is in use by a transaction that goes on, so no trigger can be put on it: nothing has changed', watched
        USING ERRCODE = 'lock_not_available', HINT = 'try again when that transaction has ended';
WHEN insufficient_privilege THEN
    RAISE EXCEPTION '% may not put triggers on %', current_user, watched
        USING ERRCODE = 'insufficient_privilege', HINT = format('as %s or a superuser: GRANT TRIGGER ON %s TO %I',
            (SELECT relowner::regrole FROM pg_class WHERE oid = watched), watched, current_user);
END
$$;

-- Takes the triggers off again; what they recorded stays. PostgreSQL asks for the ownership of the table.
CREATE OR REPLACE FUNCTION public.unwatch_training_table(watched regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
DECLARE
    part regclass;
    name text;
BEGIN
    FOR part, name IN
        SELECT t.tgrelid, t.tgname
        FROM pg_trigger t
        WHERE t.tgrelid IN (SELECT watched UNION SELECT relid FROM pg_partition_tree(watched))
          AND t.tgfoid IN ('public.note_training_insert()'::regprocedure,
                           'public.record_training_insert()'::regprocedure,
                           'public.record_training_event()'::regprocedure)
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', name, part);
    END LOOP;
EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION '% is in use by a transaction that goes on, so its triggers cannot be taken off: nothing has changed', watched
        USING ERRCODE = 'lock_not_available', HINT = 'try again when that transaction has ended';
END
$$;

-- The functions that run with their owner's rights belong to a role that has hardly any.
GRANT SET ON PARAMETER backtrace_functions TO training_recorder;
GRANT SELECT, INSERT ON public.training_event_queue TO training_recorder;
ALTER FUNCTION public.note_training_insert() OWNER TO training_recorder;
ALTER FUNCTION public.record_training_insert() OWNER TO training_recorder;
ALTER FUNCTION public.record_training_event() OWNER TO training_recorder;

REVOKE EXECUTE ON FUNCTION public.note_training_insert(), public.record_training_insert(),
    public.record_training_event(), public.missing_training_triggers(regclass), public.watch_training_table(regclass),
    public.unwatch_training_table(regclass)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.note_training_insert(), public.record_training_insert(),
    public.record_training_event(), public.missing_training_triggers(regclass), public.watch_training_table(regclass),
    public.unwatch_training_table(regclass)
    TO platform;
GRANT SELECT ON public.training_events TO platform;
GRANT SELECT, DELETE ON public.training_event_queue TO platform;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.training_event_history TO platform;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.training_deliveries TO platform;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.training_untrained TO platform;
GRANT SELECT, UPDATE ON public.training_leader TO platform;
