-- Classifiers: made over a table, made the default, retired. All with the caller's rights.
SET search_path = pg_catalog, pg_temp;

-- A table as events name it, and as the role platform finds it.
CREATE OR REPLACE FUNCTION public.training_table_name(the_table regclass) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT regexp_replace(the_table::text, '^(public|datasets)\.', '')
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
    FOREACH wanted IN ARRAY ARRAY[text_column, label_column] LOOP
        SELECT format_type(a.atttypid, a.atttypmod) INTO kind FROM pg_attribute a
        WHERE a.attrelid = the_table AND a.attname = wanted AND a.attnum > 0 AND NOT a.attisdropped;
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

-- Makes a classifier over any table, or takes it up again: the triggers are put on, training may read, and what changed
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
    FOREACH part IN ARRAY array_remove(ARRAY[training_table, test_table], NULL) LOOP
        PERFORM public.watch_training_table(part);
        PERFORM public.let_training_read(part, text_column, label_column);
    END LOOP;
    made.name := name;
    made.train_table := public.training_table_name(training_table);
    made.test_table := public.training_table_name(test_table);
    SELECT * INTO known FROM public.classifiers c WHERE c.name = made.name FOR UPDATE;
    IF known.name IS NOT NULL AND (
        known.train_table, known.text_column, known.label_column, known.test_table
    ) IS DISTINCT FROM (made.train_table, text_column, label_column, made.test_table) THEN
        RAISE EXCEPTION 'there is a classifier % already, over % (% → %)',
            name, known.train_table, known.text_column, known.label_column
            USING ERRCODE = 'unique_violation', HINT = 'its versions and ledger stay its own: choose another name';
    END IF;
    INSERT INTO public.classifiers AS c
        (name, train_table, test_table, text_column, label_column, base_model, policy, is_default)
    VALUES (made.name, made.train_table, made.test_table, text_column, label_column, base_model, policy,
            NOT EXISTS (SELECT FROM public.classifiers d WHERE d.is_default))
    ON CONFLICT ON CONSTRAINT classifiers_pkey DO UPDATE
    SET retired_at = NULL, base_model = coalesce(excluded.base_model, c.base_model),
        policy = coalesce(excluded.policy, c.policy);
    UPDATE public.training_event_history e SET classifier = made.name
    WHERE e.classifier = '' AND e.table_name IN (made.train_table, made.test_table);
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
BEGIN
    SELECT * INTO known FROM public.classifiers c WHERE c.name = retire_classifier.name FOR UPDATE;
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
        BEGIN
            PERFORM public.unwatch_training_table(t.oid) FROM pg_class t WHERE public.training_table_name(t.oid) = part
              AND t.relkind IN ('r', 'p');
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
    IF NOT EXISTS (SELECT FROM public.classifiers c
                   WHERE c.name = make_default_classifier.name AND c.retired_at IS NULL) THEN
        RAISE EXCEPTION 'there is no classifier %', name USING ERRCODE = 'undefined_object';
    END IF;
    UPDATE public.classifiers c SET is_default = false WHERE c.is_default AND c.name <> make_default_classifier.name;
    UPDATE public.classifiers c SET is_default = true WHERE c.name = make_default_classifier.name AND NOT c.is_default;
END
$$;

REVOKE EXECUTE ON FUNCTION public.training_table_name(regclass), public.let_training_read(regclass, text, text),
    public.create_classifier(text, regclass, regclass, text, text, text, text), public.retire_classifier(text),
    public.make_default_classifier(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.training_table_name(regclass), public.let_training_read(regclass, text, text),
    public.create_classifier(text, regclass, regclass, text, text, text, text), public.retire_classifier(text),
    public.make_default_classifier(text) TO platform;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.classifiers TO platform;
