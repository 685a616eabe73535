-- A data set becomes a classifier: a name, a table to learn from, and a registered model, a ledger and events of its own.
DO $$
BEGIN
    IF to_regclass('public.training_datasets') IS NULL THEN
        RETURN;
    END IF;
    ALTER TABLE public.training_datasets RENAME TO classifiers;
    ALTER TABLE public.classifiers RENAME COLUMN current TO is_default;
    ALTER TABLE public.classifiers RENAME COLUMN imported_at TO created_at;
    ALTER TABLE public.classifiers RENAME CONSTRAINT training_datasets_labels_list TO classifiers_labels_list;
    ALTER TABLE public.classifiers RENAME CONSTRAINT training_datasets_pkey TO classifiers_pkey;
    ALTER INDEX public.training_datasets_one_current RENAME TO classifiers_one_default;
    ALTER TABLE public.classifiers
        ALTER COLUMN test_table DROP NOT NULL,         -- null: one row in five of the training table is held out
        ALTER COLUMN labels SET DEFAULT '[]',          -- those learned so far
        ALTER COLUMN source SET DEFAULT 'a table',
        ADD COLUMN model_name text,                    -- in MLflow and in the ledger; null: the classifier's name
        ADD COLUMN base_model text,                    -- null: BASE_MODEL
        ADD COLUMN policy text CHECK (policy IN ('sequential', 'better', 'significant', 'always')),  -- null: PROMOTION_POLICY
        ADD COLUMN retired_at timestamptz;

    ALTER TABLE public.training_jobs ADD COLUMN classifier text;
    CREATE INDEX training_jobs_of_classifier ON public.training_jobs (classifier, created_at);
    UPDATE public.training_jobs SET classifier = detail -> 'dataset' ->> 'name';

    -- The model that all data sets shared stays that of the one whose rows made the Champion, under its old name.
    UPDATE public.classifiers c
    SET model_name = old.model_name
    FROM (SELECT model_name, job_id FROM public.promotion_ledger
          WHERE to_version IS DISTINCT FROM from_version ORDER BY id DESC LIMIT 1) old
    LEFT JOIN public.training_jobs j USING (job_id)
    WHERE CASE WHEN EXISTS (SELECT FROM public.classifiers same WHERE same.name = j.classifier)
               THEN c.name = j.classifier ELSE c.is_default END;

    -- An event is trained on once for each classifier that its table belongs to, '' stands for none. Without a dag_run_id it
    -- waits for a run.
    ALTER TABLE public.training_event_history
        ADD COLUMN classifier text NOT NULL DEFAULT '',
        ALTER COLUMN dag_run_id DROP NOT NULL,
        DROP CONSTRAINT training_event_history_pkey,
        ADD PRIMARY KEY (id, classifier);
    UPDATE public.training_event_history e SET classifier = c.name
    FROM public.classifiers c WHERE e.table_name IN (c.train_table, c.test_table);
    UPDATE public.training_event_history SET dag_run_id = NULL WHERE classifier = '';
    CREATE INDEX training_event_history_waiting ON public.training_event_history (classifier)
        WHERE dag_run_id IS NULL AND classifier <> '';
    CREATE INDEX training_event_history_of_none ON public.training_event_history (table_name) WHERE classifier = '';

    ALTER TABLE public.training_coverage
        ADD COLUMN classifier text NOT NULL DEFAULT '',
        DROP CONSTRAINT training_coverage_pkey,
        ADD PRIMARY KEY (event_id, classifier);
    UPDATE public.training_coverage c SET classifier = e.classifier
    FROM public.training_event_history e WHERE e.id = c.event_id AND e.classifier <> '';

    ALTER TABLE public.training_untrained
        ADD COLUMN classifier text NOT NULL DEFAULT '',
        DROP CONSTRAINT training_untrained_pkey,
        ADD PRIMARY KEY (event_id, classifier);
    UPDATE public.training_untrained u SET classifier = e.classifier
    FROM public.training_event_history e WHERE e.id = u.event_id;
    DELETE FROM public.training_untrained WHERE classifier = '';
END
$$;
