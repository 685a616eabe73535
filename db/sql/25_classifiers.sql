-- Classifiers: made over a table, made the default, retired. All with the caller's rights.
SET search_path = pg_catalog, pg_temp;

-- One change of the classifiers at a time: each looks at what is there and then writes. Imports hold the same lock. Not an
-- advisory lock: anybody may take those.
CREATE OR REPLACE FUNCTION public.lock_classifiers() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s' AS $$
BEGIN
    LOCK TABLE public.classifiers IN SHARE ROW EXCLUSIVE MODE;
EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION 'another transaction makes, imports or retires a classifier and goes on: nothing has changed'
        USING ERRCODE = 'lock_not_available', HINT = 'try again when it has ended';
END
$$;

-- A table as events name it, and as the role platform finds it.
CREATE OR REPLACE FUNCTION public.training_table_name(the_table regclass) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT regexp_replace(the_table::text, '^(public|datasets)\.', '')
$$;

-- The table of that name, null where there is none. Looks at no schema that the caller may not use.
CREATE OR REPLACE FUNCTION public.training_table_of(the_name text) RETURNS regclass
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND the_name = CASE WHEN n.nspname IN ('public', 'datasets') THEN quote_ident(c.relname)
                                                 ELSE quote_ident(n.nspname) || '.' || quote_ident(c.relname) END
    ORDER BY n.nspname LIMIT 1
$$;

-- Raises what keeps training from reading two columns of a table, or from seeing all of its rows; gives the rights to
-- read that the caller may give.
CREATE OR REPLACE FUNCTION public.let_training_read(the_table regclass, text_column text, label_column text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation pg_class;
    home text;
    wanted text;
    kind text;
BEGIN
    SELECT * INTO relation FROM pg_class WHERE oid = the_table;
    home := relation.relnamespace::regnamespace::text;
    IF relation.relispartition THEN
        RAISE EXCEPTION '% is a partition: what changes in it is a change of the whole table, %', the_table, pg_partition_root(the_table)
            USING ERRCODE = 'wrong_object_type', HINT = 'name the whole table';
    END IF;
    FOREACH wanted IN ARRAY ARRAY[text_column, label_column] LOOP
        -- What a domain, an array or a domain over those is made of.
        WITH RECURSIVE made_of AS (
            SELECT a.atttypid AS type FROM pg_attribute a
            WHERE a.attrelid = the_table AND a.attname = wanted AND a.attnum > 0 AND NOT a.attisdropped
            UNION ALL
            SELECT CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END
            FROM made_of m JOIN pg_type t ON t.oid = m.type
            WHERE t.typtype = 'd' OR t.typcategory = 'A'
        )
        SELECT CASE WHEN bool_or(m.type = 'bytea'::regtype) THEN 'bytea' ELSE 'other' END INTO kind
        FROM made_of m HAVING count(*) > 0;
        IF kind IS NULL THEN
            RAISE EXCEPTION 'table % has no column "%"; it has %', the_table, wanted, (
                SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
                WHERE a.attrelid = the_table AND a.attnum > 0 AND NOT a.attisdropped)
                USING ERRCODE = 'undefined_column', HINT = 'name them: text_column => ''…'', label_column => ''…''';
        ELSIF kind = 'bytea' THEN
            RAISE EXCEPTION 'column "%" of % holds bytes (bytea): it must hold text', wanted, the_table
                USING ERRCODE = 'datatype_mismatch';
        END IF;
    END LOOP;
    IF home IN ('public', 'datasets') AND EXISTS (
        SELECT FROM pg_class c WHERE c.relname = relation.relname AND c.oid <> the_table
          AND c.relnamespace IN ('public'::regnamespace, 'datasets'::regnamespace) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    ) THEN
        RAISE EXCEPTION 'there is a table % in both schemas public and datasets: rename one', relation.relname
            USING ERRCODE = 'ambiguous_alias';
    END IF;
    BEGIN
        IF NOT has_schema_privilege('platform', relation.relnamespace, 'USAGE') THEN
            EXECUTE format('GRANT USAGE ON SCHEMA %s TO platform', home);
        END IF;
        IF NOT (has_column_privilege('platform', the_table, text_column, 'SELECT')
                AND has_column_privilege('platform', the_table, label_column, 'SELECT')) THEN
            EXECUTE format('GRANT SELECT (%I, %I) ON %s TO platform', text_column, label_column, the_table);
        END IF;
    EXCEPTION WHEN insufficient_privilege THEN
        NULL;  -- said below
    END;
    IF NOT has_schema_privilege('platform', relation.relnamespace, 'USAGE') THEN
        RAISE EXCEPTION 'training, the role platform, may not use the schema %', home
            USING ERRCODE = 'insufficient_privilege', HINT = format('GRANT USAGE ON SCHEMA %s TO platform', home);
    END IF;
    IF NOT (has_column_privilege('platform', the_table, text_column, 'SELECT')
            AND has_column_privilege('platform', the_table, label_column, 'SELECT')) THEN
        RAISE EXCEPTION 'training, the role platform, may not read %', the_table
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('GRANT SELECT (%I, %I) ON %s TO platform', text_column, label_column, the_table);
    END IF;
    -- A policy that shows everything to platform is as good as none.
    IF relation.relrowsecurity
       AND NOT (SELECT r.rolsuper OR r.rolbypassrls FROM pg_roles r WHERE r.rolname = 'platform')
       AND (relation.relforcerowsecurity OR NOT pg_has_role('platform', relation.relowner, 'USAGE'))
       AND (NOT EXISTS (
                SELECT FROM pg_policy p
                WHERE p.polrelid = the_table AND p.polpermissive AND p.polcmd IN ('r', '*')
                  AND ('0'::oid = ANY (p.polroles) OR 'platform'::regrole = ANY (p.polroles))
                  AND pg_get_expr(p.polqual, p.polrelid) = 'true')
            OR EXISTS (
                SELECT FROM pg_policy p
                WHERE p.polrelid = the_table AND NOT p.polpermissive AND p.polcmd IN ('r', '*')
                  AND ('0'::oid = ANY (p.polroles) OR 'platform'::regrole = ANY (p.polroles)))) THEN
        RAISE EXCEPTION '% has row security: training, the role platform, would see a part of its rows', the_table
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('CREATE POLICY training ON %s FOR SELECT TO platform USING (true)', the_table);
    END IF;
END
$$;

-- Makes a classifier over any table, or takes it up again, also under the new name of a table or column: the triggers are put on, training may read, and what changed
-- in the table while it belonged to nobody is trained on. Reads no row of it: what its types do would be done with the
-- caller's rights. Answers in a sentence for people.
CREATE OR REPLACE FUNCTION public.create_classifier(
    name text, training_table regclass, test_table regclass DEFAULT NULL,
    text_column text DEFAULT 'text', label_column text DEFAULT 'label',
    base_model text DEFAULT NULL, policy text DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made public.classifiers;
    known public.classifiers;
    other text;
    moved boolean;
    part regclass;
BEGIN
    IF name IS NULL OR name !~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,59}$' OR name ~ '\.\.' THEN
        RAISE EXCEPTION 'a classifier''s name is of letters, digits, _, - and ., no two dots in a row, at most 60 of them: % is not', quote_nullable(name)
            USING ERRCODE = 'invalid_name';
    END IF;
    IF training_table IS NULL THEN
        RAISE EXCEPTION 'name the table to learn from' USING ERRCODE = 'null_value_not_allowed';
    ELSIF training_table = test_table THEN
        RAISE EXCEPTION 'training and test rows are the same table, %', training_table
            USING ERRCODE = 'invalid_parameter_value', HINT = 'without a test table one row in five is held out';
    ELSIF text_column = label_column THEN
        RAISE EXCEPTION 'text and label are the same column, %', text_column
            USING ERRCODE = 'invalid_parameter_value', HINT = 'name them: text_column => ''…'', label_column => ''…''';
    ELSIF policy NOT IN ('sequential', 'better', 'significant', 'always') THEN
        RAISE EXCEPTION 'there is no policy %: it is sequential, better, significant or always', policy
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM public.lock_classifiers();
    made.name := name;
    made.train_table := public.training_table_name(training_table);
    made.test_table := public.training_table_name(test_table);
    SELECT c.name INTO other FROM public.classifiers c WHERE c.model_name = made.name AND c.name <> made.name;
    IF other IS NOT NULL THEN
        RAISE EXCEPTION 'the model of the classifier % is called % already', other, name
            USING ERRCODE = 'unique_violation', HINT = 'its versions and ledger stay its own: choose another name';
    END IF;
    SELECT * INTO known FROM public.classifiers c WHERE c.name = made.name;
    moved := known.name IS NOT NULL AND (
        known.train_table, known.text_column, known.label_column, known.test_table
    ) IS DISTINCT FROM (made.train_table, text_column, label_column, made.test_table);
    -- It follows a table or column that was renamed or moved: nothing bears the name that it knows any more, or a partition
    -- of the table does.
    IF moved AND (
        (known.train_table <> made.train_table
         AND NOT coalesce(pg_partition_root(public.training_table_of(known.train_table)) = training_table, false)
         AND public.training_table_of(known.train_table) IS NOT NULL)
        OR (known.test_table IS DISTINCT FROM made.test_table
            AND NOT coalesce(pg_partition_root(public.training_table_of(known.test_table)) = test_table, false)
            AND (known.test_table IS NULL OR public.training_table_of(known.test_table) IS NOT NULL))
        OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = training_table AND a.attnum > 0 AND NOT a.attisdropped
                   AND (a.attname = known.text_column AND known.text_column <> text_column
                        OR a.attname = known.label_column AND known.label_column <> label_column))
    ) THEN
        RAISE EXCEPTION 'there is a classifier % already, over % (% → %)',
            name, known.train_table, known.text_column, known.label_column
            USING ERRCODE = 'unique_violation', HINT = 'its versions and ledger stay its own: choose another name';
    END IF;
    FOREACH part IN ARRAY array_remove(ARRAY[training_table, test_table], NULL) LOOP
        PERFORM public.watch_training_table(part);
        PERFORM public.let_training_read(part, text_column, label_column);
    END LOOP;
    IF moved THEN  -- what came under the old name is its own, also what the relay has not seen yet
        WITH fresh AS (
            DELETE FROM public.training_event_queue q WHERE q.table_name IN (known.train_table, known.test_table)
            RETURNING q.id, q.table_name, q.operation, q.rows, q.created_at
        )
        INSERT INTO public.training_event_history (id, table_name, operation, rows, created_at, classifier)
        SELECT fresh.*, coalesce(c.name, '')
        FROM fresh LEFT JOIN public.classifiers c
            ON (c.retired_at IS NULL OR c.name = known.name) AND fresh.table_name IN (c.train_table, c.test_table);
    END IF;
    INSERT INTO public.classifiers AS c
        (name, train_table, test_table, text_column, label_column, base_model, policy, is_default)
    VALUES (made.name, made.train_table, made.test_table, text_column, label_column, base_model, policy,
            NOT EXISTS (SELECT FROM public.classifiers d WHERE d.is_default))
    ON CONFLICT ON CONSTRAINT classifiers_pkey DO UPDATE
    SET retired_at = NULL, train_table = excluded.train_table, test_table = excluded.test_table,
        text_column = excluded.text_column, label_column = excluded.label_column, base_model = coalesce(excluded.base_model, c.base_model),
        policy = coalesce(excluded.policy, c.policy);
    UPDATE public.training_event_history e SET classifier = made.name
    WHERE e.classifier = '' AND e.table_name IN (made.train_table, made.test_table, known.train_table, known.test_table);
    RETURN format('%s learns %s from %s of %s%s; new rows start its runs, and so does: python3 manually_trigger.py --classifier %s',
        name, label_column, text_column, training_table,
        CASE WHEN test_table IS NULL THEN ', of which one row in five is held out for the test' ELSE '' END, name);
END
$$;

-- Ends a classifier: its table starts no run any more, nothing of it is forgotten, and create_classifier takes it up again.
CREATE OR REPLACE FUNCTION public.retire_classifier(name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known public.classifiers;
    part text;
    the_table regclass;
BEGIN
    PERFORM public.lock_classifiers();
    SELECT * INTO known FROM public.classifiers c WHERE c.name = retire_classifier.name;
    IF known.name IS NULL THEN
        RAISE EXCEPTION 'there is no classifier %', name USING ERRCODE = 'undefined_object';
    ELSIF known.is_default THEN
        RAISE EXCEPTION '% is the default classifier, which /predict speaks of', name
            USING ERRCODE = 'object_in_use', HINT = 'first: SELECT make_default_classifier(''…'')';
    END IF;
    UPDATE public.classifiers c SET retired_at = coalesce(c.retired_at, clock_timestamp()) WHERE c.name = known.name;
    FOREACH part IN ARRAY array_remove(ARRAY[known.train_table, known.test_table], NULL) LOOP
        IF EXISTS (SELECT FROM public.classifiers c
                   WHERE c.retired_at IS NULL AND part IN (c.train_table, c.test_table)) THEN
            CONTINUE;
        END IF;
        the_table := public.training_table_of(part);
        IF the_table IS NULL THEN
            RAISE NOTICE 'nothing is called % any more: if it was renamed, unwatch_training_table takes its triggers off', part;
            CONTINUE;
        END IF;
        BEGIN
            PERFORM public.unwatch_training_table(the_table);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE NOTICE 'the triggers on % stay until its owner calls unwatch_training_table', part;
        END;
    END LOOP;
END
$$;

-- The one that /predict, the page and the scripts speak of.
CREATE OR REPLACE FUNCTION public.make_default_classifier(name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM public.lock_classifiers();
    IF NOT EXISTS (SELECT FROM public.classifiers c
                   WHERE c.name = make_default_classifier.name AND c.retired_at IS NULL) THEN
        RAISE EXCEPTION 'there is no classifier %', name USING ERRCODE = 'undefined_object';
    END IF;
    UPDATE public.classifiers c SET is_default = false WHERE c.is_default AND c.name <> make_default_classifier.name;
    UPDATE public.classifiers c SET is_default = true WHERE c.name = make_default_classifier.name AND NOT c.is_default;
END
$$;

REVOKE EXECUTE ON FUNCTION public.lock_classifiers(), public.training_table_name(regclass),
    public.training_table_of(text), public.let_training_read(regclass, text, text),
    public.create_classifier(text, regclass, regclass, text, text, text, text), public.retire_classifier(text),
    public.make_default_classifier(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.lock_classifiers(), public.training_table_name(regclass),
    public.training_table_of(text), public.let_training_read(regclass, text, text),
    public.create_classifier(text, regclass, regclass, text, text, text, text), public.retire_classifier(text),
    public.make_default_classifier(text) TO platform;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.classifiers TO platform;
