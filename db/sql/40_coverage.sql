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

GRANT SELECT ON public.training_data_coverage, public.training_backlog,
    public.training_events_of_none TO platform;
