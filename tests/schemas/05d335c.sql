-- The role that the relay and the training endpoint log in with. Its password is set apart from these files.
DO $$
BEGIN
    CREATE ROLE platform LOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- roles belong to the whole server: another database, or another process right now, made it
END
$$;

-- The importer creates the tables of datasets.
DO $$ BEGIN EXECUTE format('GRANT CONNECT, CREATE, TEMPORARY ON DATABASE %I TO platform', current_database()); END $$;
GRANT USAGE, CREATE ON SCHEMA public TO platform;

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

-- What no run has been started for yet: the trigger inserts, the relay takes away. So what a writer pays for, and what is
-- asked several times a second, is one small table, however long the history grows. It has no index, for whoever reads
-- it reads it whole, and each writer would pay for one.
CREATE TABLE IF NOT EXISTS training_event_queue (
    id bigint GENERATED ALWAYS AS IDENTITY,
    table_name text NOT NULL,  -- quoted and qualified where needed, as regclass prints it
    operation text NOT NULL,   -- INSERT, UPDATE, DELETE or TRUNCATE
    rows bigint,               -- null: not counted, as for TRUNCATE
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE IF NOT EXISTS training_event_history (
    id bigint PRIMARY KEY,
    table_name text NOT NULL,
    operation text NOT NULL,
    rows bigint,
    created_at timestamptz NOT NULL,
    dag_run_id text NOT NULL  -- of training_deliveries
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.1);

-- In earlier schemas both were one table, then the queue had an index.
DO $$
BEGIN
    IF to_regclass('training_event_queue_pkey') IS NOT NULL THEN
        ALTER TABLE training_event_queue DROP CONSTRAINT training_event_queue_pkey;
    END IF;
    IF (SELECT relkind FROM pg_class WHERE oid = to_regclass('training_events')) = 'r' THEN
        LOCK TABLE training_events;
        INSERT INTO training_event_queue (id, table_name, operation, rows, created_at) OVERRIDING SYSTEM VALUE
        SELECT id, table_name, operation, rows, created_at FROM training_events WHERE dag_run_id IS NULL;
        INSERT INTO training_event_history
        SELECT id, table_name, operation, rows, created_at, dag_run_id FROM training_events WHERE dag_run_id IS NOT NULL;
        PERFORM setval('training_event_queue_id_seq', max(id)) FROM training_events;
        DROP VIEW IF EXISTS training_data_coverage;
        DROP TABLE training_events;
    END IF;
END
$$;

-- All events; dag_run_id is null while one is pending.
CREATE OR REPLACE VIEW training_events AS
SELECT id, table_name, operation, rows, created_at, NULL::text AS dag_run_id FROM training_event_queue
UNION ALL
SELECT id, table_name, operation, rows, created_at, dag_run_id FROM training_event_history;

-- Before an INSERT into a plain table: notes, for this transaction, how many rows the server has counted into it so far.
-- Runs with the writer's rights and search_path, in which nothing may stand in for what is called here.
CREATE OR REPLACE FUNCTION note_training_insert() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    noted text := pg_catalog.set_config(pg_catalog.concat('training.inserted_', TG_RELID),
                                        pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID)::text, true);
BEGIN
    RETURN NEW;  -- is null here, and costs less than to say NULL, which would be one more expression
END
$$;

-- After an INSERT into a plain table. A transition table would copy every row, which makes a large COPY slower by a fifth
-- and more, so the server's own counter is read again. Every expression here is prepared anew in each transaction, which
-- is most of what a single-row INSERT pays: hence so few.
-- Like record_training_event, with the rights of the function's owner: writers need none of their own.
CREATE OR REPLACE FUNCTION record_training_insert() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    counted bigint := pg_stat_get_xact_tuples_inserted(TG_RELID)
                      - nullif(current_setting(concat('training.inserted_', TG_RELID), true), '')::bigint;
BEGIN
    IF counted > 0 AND TG_TABLE_SCHEMA = 'public' THEN  -- the usual case, in one expression
        INSERT INTO public.training_event_queue (table_name, operation, rows)
        VALUES (quote_ident(TG_TABLE_NAME), 'INSERT', counted);
        RETURN NEW;
    END IF;
    IF counted = 0 THEN
        -- An INSERT around this one, which its function or trigger runs for, must not take this one's note for its own.
        PERFORM set_config(concat('training.inserted_', TG_RELID), '', true);
        IF current_setting('track_counts')::boolean THEN
            RETURN NEW;
        END IF;
        counted := NULL;
    END IF;
    INSERT INTO public.training_event_queue (table_name, operation, rows)
    VALUES (regexp_replace(TG_RELID::regclass::text, '^public\.', ''), 'INSERT', counted);
    RETURN NEW;
END
$$;

-- After any other statement: rows are counted by a transition table, and an event of a partition is the whole table's.
CREATE OR REPLACE FUNCTION record_training_event() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    root regclass := pg_partition_root(TG_RELID);
    truncated text := root::oid || ' ' || statement_timestamp();
    counted bigint;
BEGIN
    IF TG_OP <> 'TRUNCATE' THEN
        SELECT count(*) INTO counted FROM changed;
        IF counted = 0 THEN
            RETURN NULL;
        END IF;
    ELSIF root IS NOT NULL THEN
        -- TRUNCATE of a partitioned table fires for each partition too, but is one event.
        IF current_setting('training.truncated', true) = truncated THEN
            RETURN NULL;
        END IF;
        PERFORM set_config('training.truncated', truncated, true);
    END IF;
    INSERT INTO public.training_event_queue (table_name, operation, rows)
    VALUES (regexp_replace(coalesce(root, TG_RELID)::regclass::text, '^public\.', ''), TG_OP, counted);
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
    IF watched = ANY (ARRAY['public.training_event_queue', 'public.training_event_history', 'public.training_deliveries',
                            'public.training_datasets', 'public.training_jobs', 'public.training_coverage',
                            'public.promotion_ledger']::regclass[]) THEN
        RAISE EXCEPTION '% is one of the platform''s own tables: watch a table of training rows', watched
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_class WHERE oid = watched AND relkind IN ('r', 'p') AND relpersistence <> 't') THEN
        RAISE EXCEPTION '% is not a lasting table: watch the table that holds the rows', watched
            USING ERRCODE = 'wrong_object_type';
    END IF;
    FOR part, plain IN
        SELECT oid, relkind = 'r' AND NOT relispartition FROM pg_class
        WHERE oid IN (SELECT watched UNION SELECT relid FROM pg_partition_tree(watched)) AND relkind IN ('r', 'p')
    LOOP
        IF plain THEN
            EXECUTE format('CREATE OR REPLACE TRIGGER training_event_note BEFORE INSERT ON %s'
                ' FOR EACH STATEMENT EXECUTE FUNCTION public.note_training_insert()', part);
            EXECUTE format('CREATE OR REPLACE TRIGGER training_event_insert AFTER INSERT ON %s'
                ' FOR EACH STATEMENT EXECUTE FUNCTION public.record_training_insert()', part);
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
          AND t.tgfoid IN ('public.note_training_insert'::regproc, 'public.record_training_insert'::regproc,
                           'public.record_training_event'::regproc)
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', name, part);
    END LOOP;
END
$$;

-- Tables that were watched when one function still recorded all.
SELECT watch_training_table(tgrelid) FROM pg_trigger
WHERE tgfoid = 'record_training_event'::regproc AND tgname = 'training_event_insert' AND tgnargs = 1;

REVOKE EXECUTE ON FUNCTION note_training_insert(), record_training_insert(), record_training_event(),
    watch_training_table(regclass), unwatch_training_table(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION note_training_insert(), record_training_insert(), record_training_event(),
    watch_training_table(regclass), unwatch_training_table(regclass) TO platform;
GRANT SELECT ON training_events TO platform;
GRANT SELECT, DELETE ON training_event_queue TO platform;
GRANT SELECT, INSERT, DELETE ON training_event_history TO platform;
GRANT SELECT, INSERT, UPDATE, DELETE ON training_deliveries TO platform;

-- What the training endpoint remembers: datasets, jobs, what each job trained on, and every move of the alias.

CREATE TABLE IF NOT EXISTS training_datasets (
    name text PRIMARY KEY,
    train_table text NOT NULL,  -- as regclass prints it, like training_events.table_name
    test_table text NOT NULL,
    text_column text NOT NULL,
    label_column text NOT NULL,
    labels jsonb NOT NULL,
    source text NOT NULL,
    current boolean NOT NULL DEFAULT false,
    imported_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX IF NOT EXISTS training_datasets_one_current ON training_datasets (current) WHERE current;

CREATE TABLE IF NOT EXISTS training_jobs (
    job_id text PRIMARY KEY,
    run_id text NOT NULL UNIQUE,
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    phase text NOT NULL DEFAULT 'queued',
    progress double precision NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 1),
    request jsonb NOT NULL DEFAULT '{}',
    detail jsonb NOT NULL DEFAULT '{}',
    error text,
    verdict text,
    mlflow_run_id text,
    model_version integer,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at timestamptz,
    finished_at timestamptz
);
CREATE INDEX IF NOT EXISTS training_jobs_created ON training_jobs (created_at);

-- No reference to training_events: a slow job may still cover an event that retention has just pruned.
CREATE TABLE IF NOT EXISTS training_coverage (
    event_id bigint PRIMARY KEY,
    job_id text NOT NULL REFERENCES training_jobs,
    covered_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE IF NOT EXISTS promotion_ledger (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    who text NOT NULL,
    model_name text NOT NULL,
    from_version integer,
    to_version integer,
    verdict text NOT NULL,
    reason text NOT NULL,
    evidence jsonb NOT NULL DEFAULT '{}',
    job_id text
);

CREATE OR REPLACE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'promotion_ledger is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON promotion_ledger
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();

GRANT SELECT, INSERT, UPDATE, DELETE ON training_datasets, training_jobs, training_coverage TO platform;
GRANT SELECT, INSERT ON promotion_ledger TO platform;

-- For each event: what changed and what came of it. `run` is the run that trained on the event, or, while none has,
-- the one that was started for it; `state` is pending, claimed, accepted, then that run's job status; `version` is
-- what came out of the run. An event whose own run failed is covered by the next one that succeeds.
CREATE OR REPLACE VIEW training_data_coverage AS
SELECT e.id AS event,
       e.created_at AS "when",
       e.table_name AS "table",
       e.operation,
       e.rows,
       coalesce(j.run_id, e.dag_run_id) AS run,
       coalesce(j.status, d.state, 'pending') AS state,
       j.model_version AS version
FROM training_events e
LEFT JOIN training_deliveries d ON d.dag_run_id = e.dag_run_id
LEFT JOIN training_coverage c ON c.event_id = e.id
LEFT JOIN training_jobs started ON started.run_id = e.dag_run_id
LEFT JOIN training_jobs j ON j.job_id = coalesce(c.job_id, started.job_id);

GRANT SELECT ON training_data_coverage TO platform;

