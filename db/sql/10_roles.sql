-- Who may do what. A superuser runs every file here, so each begins by looking up names in the system's own schema
-- alone, and qualifies all others: in `public` and `datasets` other roles may have put something of the same name.
SET search_path = pg_catalog, pg_temp;

-- platform: what the relay and the training endpoint log in as; its password is set apart from these files.
-- training_recorder: what the trigger's functions run as. It may add to the queue and nothing else.
-- training_ledger: what the ledger's functions run as. It may write the ledger, and nothing else.
-- serving: what the replicas log in as, to add to the log of predictions and for nothing else.
-- training_predictions: owns that log, and is what the functions that keep it run as.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['platform', 'serving', 'training_recorder', 'training_ledger', 'training_predictions'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I', name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;  -- roles belong to the whole server: another database, or another process right now, made it
        END;
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'platform' AND rolcanlogin AND NOT rolsuper) THEN
        ALTER ROLE platform LOGIN NOSUPERUSER;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'serving' AND rolcanlogin AND NOT rolsuper AND rolconnlimit = 60) THEN
        ALTER ROLE serving LOGIN NOSUPERUSER CONNECTION LIMIT 60;  -- the services' connections stay theirs
    END IF;
END
$$;

-- Tables of data sets have a schema of their own; in `public`, whose functions everybody calls, the superuser alone
-- creates. Earlier schemas let platform create there too: its tables stay, but what it made under a name that these
-- files use steps aside, since to replace it would leave it platform's.
CREATE SCHEMA IF NOT EXISTS datasets;
REVOKE CREATE ON SCHEMA public FROM PUBLIC, platform;
GRANT USAGE ON SCHEMA public, datasets TO PUBLIC;
GRANT CREATE ON SCHEMA datasets TO platform;
GRANT USAGE ON SCHEMA public TO training_recorder, training_ledger;
DO $$
DECLARE
    own_functions text[] := '{note_training_insert,record_training_insert,record_training_event,watch_training_table,'
        'missing_training_triggers,lock_classifiers,training_table_of,training_table_name,let_training_read,'
        'create_classifier,retire_classifier,make_default_classifier,'
        'unwatch_training_table,refuse_ledger_change,seal_ledger_entry,ledger_hash,append_decision,decide_for_job,'
        'decide_by_hand,decide_by_labels,decision_took_effect,remove_version_files,version_files_gone}';
    own_tables text[] := '{training_event_queue,training_event_history,training_events,training_deliveries,'
        'training_untrained,training_leader,training_schema,classifiers,training_jobs,training_coverage,'
        'training_data_coverage,training_backlog,training_events_of_none,classifier_troubles,training_versions,promotion_ledger,ledger_breaks}';
    renaming text;
BEGIN
    EXECUTE format('REVOKE CREATE ON DATABASE %I FROM platform', current_database());
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO platform', current_database());
    EXECUTE format('ALTER SCHEMA datasets OWNER TO %I', current_user);
    FOR renaming IN
        SELECT format('ALTER ROUTINE %s RENAME TO %I', f.oid::regprocedure, 'not_ours_' || f.oid)
        FROM pg_proc f JOIN pg_roles r ON r.oid = f.proowner
        WHERE f.pronamespace = 'public'::regnamespace AND f.proname = ANY (own_functions) AND f.prokind <> 'a'
          AND NOT r.rolsuper AND r.rolname NOT IN ('training_recorder', 'training_ledger')
        UNION ALL
        SELECT format('ALTER TABLE %s RENAME TO %I', c.oid::regclass, 'not_ours_' || c.oid)
        FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
        WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY (own_tables) AND c.relkind <> 'c'
          AND NOT r.rolsuper
        UNION ALL
        SELECT format('ALTER TYPE %s RENAME TO %I', t.oid::regtype, 'not_ours_' || t.oid)
        FROM pg_type t JOIN pg_roles r ON r.oid = t.typowner
        WHERE t.typnamespace = 'public'::regnamespace AND t.typname = ANY (own_tables) AND NOT r.rolsuper
          AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind <> 'c')
    LOOP
        RAISE WARNING '%', renaming;
        EXECUTE renaming;
    END LOOP;
END
$$;

-- Where unqualified names are looked for. Not among the data sets for the superuser: a function that platform made
-- there would run with its rights.
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET search_path = public, datasets', current_database());
    EXECUTE format('ALTER ROLE platform IN DATABASE %I SET search_path = datasets, public', current_database());
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = public', current_user, current_database());
END
$$;
