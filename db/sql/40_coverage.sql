SET search_path = pg_catalog, pg_temp;

-- For each event: what changed and what came of it. `run` is the run that trained on the event, or, while none has,
-- the one that was started for it; `state` is pending, claimed, accepted, then that run's job status; `version` is
-- what came out of the run; `left_out` counts by reason the rows of the tables that it could not use. An event whose run
-- ended without it is pending again, `because` says why, until it was tried too often: then it has the state of its last
-- run. Whatever run succeeds next covers it in any case. What belongs to no classifier, or to one that was retired, stays
-- pending, and `because` says so.
CREATE OR REPLACE VIEW public.training_data_coverage AS
SELECT e.id AS event,
       e.created_at AS "when",
       e.table_name AS "table",
       e.operation,
       e.rows,
       CASE WHEN c.event_id IS NULL AND u.retry_at IS NOT NULL THEN NULL ELSE coalesce(j.run_id, e.dag_run_id) END AS run,
       CASE WHEN c.event_id IS NULL AND u.retry_at IS NOT NULL THEN 'pending'
            ELSE coalesce(j.status, d.state, 'pending') END AS state,
       j.model_version AS version,
       nullif(j.detail -> 'dataset' -> 'dropped', '{}') AS left_out,
       CASE WHEN c.event_id IS NOT NULL THEN NULL
            WHEN e.classifier = '' THEN format('%s belongs to no classifier: SELECT create_classifier(''NAME'', ''%s'')',
                                               e.table_name, e.table_name)
            WHEN owner.retired_at IS NOT NULL THEN format('the classifier %s was retired', e.classifier)
            ELSE u.because END AS because,
       nullif(e.classifier, '') AS classifier
FROM public.training_events e
LEFT JOIN public.training_deliveries d ON d.dag_run_id = e.dag_run_id
LEFT JOIN public.classifiers owner ON owner.name = e.classifier
LEFT JOIN public.training_coverage c ON c.event_id = e.id AND c.classifier = e.classifier
LEFT JOIN public.training_untrained u ON u.event_id = e.id AND u.classifier = e.classifier
LEFT JOIN public.training_jobs started ON started.run_id = e.dag_run_id
LEFT JOIN public.training_jobs j ON j.job_id = coalesce(c.job_id, started.job_id);

-- What runs left untrained, in one row; none when there is nothing. `rows` counts one for what was not counted.
CREATE OR REPLACE VIEW public.training_backlog AS
SELECT count(*) AS events,
       sum(greatest(coalesce(e.rows, 1), 1))::numeric AS rows,
       min(e.created_at) AS since,
       (array_agg(u.because ORDER BY u.event_id DESC))[1] AS because,
       count(*) FILTER (WHERE u.given_up) AS given_up,
       min(u.retry_at) AS retry_at
FROM public.training_untrained u
JOIN public.training_event_history e ON e.id = u.event_id AND e.classifier = u.classifier
JOIN public.classifiers owner ON owner.name = e.classifier AND owner.retired_at IS NULL
WHERE NOT EXISTS (
    SELECT FROM public.training_coverage c WHERE c.event_id = u.event_id AND c.classifier = u.classifier
)
HAVING count(*) > 0;

-- Changes of watched tables that belong to no classifier, so that no run trains on them; no row when there is nothing.
CREATE OR REPLACE VIEW public.training_events_of_none AS
SELECT count(*) AS events, min(created_at) AS since, array_agg(DISTINCT table_name) AS tables
FROM public.training_event_history
WHERE classifier = ''
HAVING count(*) > 0;

-- Classifiers whose rows start no run, or cannot be trained on, since somebody changed a table under them; what mends that
-- as a statement. A table that is gone may bear another name now: that is guessed by its triggers, which went with it.
CREATE OR REPLACE VIEW public.classifier_troubles AS
WITH learners AS (
    SELECT c.name, part.is_test, part.table_name, c.text_column, c.label_column,
           c.train_table, c.test_table, public.training_table_of(part.table_name) AS oid
    FROM public.classifiers c
    CROSS JOIN LATERAL (VALUES (false, c.train_table), (true, c.test_table)) part (is_test, table_name)
    WHERE c.retired_at IS NULL AND part.table_name IS NOT NULL
), strays AS (
    SELECT watched.oid, public.training_table_name(watched.oid) AS table_name, t.relname
    FROM (SELECT DISTINCT tgrelid::regclass AS oid FROM pg_trigger
          WHERE tgfoid = 'public.record_training_event()'::regprocedure) watched
    JOIN pg_class t ON t.oid = watched.oid AND NOT t.relispartition
    WHERE NOT EXISTS (SELECT FROM learners l WHERE l.oid = watched.oid)
), found AS (
    SELECT l.*, gone.columns AS gone_columns,
           CASE WHEN t.relispartition THEN public.training_table_name(pg_partition_root(l.oid))
                WHEN l.oid IS NOT NULL THEN l.table_name ELSE coalesce(candidate.table_name, 'THE TABLE') END AS now_called,
           CASE WHEN l.oid IS NULL THEN 'is not there any more: renamed, moved or dropped'
                WHEN t.relispartition THEN 'has become a partition, whose changes are those of the whole table'
                WHEN gone.columns IS NOT NULL THEN 'has no column ' || gone.columns || ' any more'
                WHEN EXISTS (SELECT FROM public.missing_training_triggers(l.oid))
                THEN 'has not all of its triggers: made again, or somebody took them off; its changes start no run'
                WHEN NOT has_schema_privilege('platform', t.relnamespace, 'USAGE')
                     OR NOT has_column_privilege('platform', l.oid, l.text_column, 'SELECT')
                     OR NOT has_column_privilege('platform', l.oid, l.label_column, 'SELECT')
                THEN 'may not be read by training, the role platform' END AS because
    FROM learners l
    LEFT JOIN pg_class t ON t.oid = l.oid
    LEFT JOIN LATERAL (
        SELECT string_agg(quote_ident(wanted.name), ', ') AS columns
        FROM (VALUES (l.text_column), (l.label_column)) wanted (name)
        WHERE l.oid IS NOT NULL AND NOT EXISTS (
            SELECT FROM pg_attribute a WHERE a.attrelid = l.oid AND a.attname = wanted.name AND NOT a.attisdropped)
    ) gone ON true
    LEFT JOIN LATERAL (
        SELECT CASE WHEN count(*) FILTER (WHERE alike) = 1 THEN min(s.table_name) FILTER (WHERE alike)
                    WHEN count(*) = 1 THEN min(s.table_name) END AS table_name
        FROM strays s
        CROSS JOIN LATERAL (
            SELECT s.relname = (parse_ident(l.table_name))[cardinality(parse_ident(l.table_name))] AS alike) name
        WHERE l.oid IS NULL AND 2 = (
            SELECT count(*) FROM pg_attribute a
            WHERE a.attrelid = s.oid AND a.attname IN (l.text_column, l.label_column) AND NOT a.attisdropped)
    ) candidate ON true
)
SELECT name AS classifier, table_name AS "table", because,
       format('SELECT create_classifier(%L, %L%s%s%s)', name, CASE WHEN is_test THEN train_table ELSE now_called END,
              ', ' || quote_literal(CASE WHEN is_test THEN now_called ELSE test_table END),
              CASE WHEN text_column <> 'text' THEN ', text_column => ' || quote_literal(text_column) END,
              CASE WHEN label_column <> 'label' THEN ', label_column => ' || quote_literal(label_column) END)
       || CASE WHEN gone_columns IS NOT NULL THEN ' with the columns of today' ELSE '' END AS heal
FROM found WHERE because IS NOT NULL;

GRANT SELECT ON public.training_data_coverage, public.training_backlog,
    public.training_events_of_none, public.classifier_troubles TO platform;
