-- For people and metrics: how many events wait for a run that Airflow accepts, the age of the oldest in seconds, what
-- ended runs left untrained, what belongs to no classifier, and
-- under which classifiers somebody changed a table.
WITH waiting AS (
    SELECT count(*) AS events, min(created_at) AS oldest FROM public.training_event_queue
    UNION ALL
    SELECT count(*), min(e.created_at)
    FROM public.training_event_history e JOIN public.classifiers c ON c.name = e.classifier AND c.retired_at IS NULL
    WHERE e.dag_run_id IS NULL AND e.classifier <> ''
    UNION ALL
    SELECT count(*), min(e.created_at)
    FROM public.training_untrained u
    JOIN public.training_event_history e ON e.id = u.event_id AND e.classifier = u.classifier
    JOIN public.classifiers c ON c.name = e.classifier AND c.retired_at IS NULL
    WHERE u.retry_at IS NOT NULL
    UNION ALL
    SELECT sum((d.conf ->> 'events')::numeric), min(d.oldest_event_at) FROM public.training_deliveries d
    WHERE d.state = 'claimed' AND NOT EXISTS (
        SELECT FROM public.classifiers c WHERE c.name = d.conf ->> 'classifier' AND c.retired_at IS NOT NULL)
)
SELECT coalesce(sum(events), 0)::bigint AS events,
       coalesce(extract(epoch FROM clock_timestamp() - min(oldest)), 0)::float8 AS oldest_age,
       (SELECT row_to_json(b) FROM public.training_backlog b) AS untrained,
       (SELECT row_to_json(n) FROM public.training_events_of_none n) AS of_none,
       (SELECT json_agg(t ORDER BY t.classifier, t.table) FROM public.classifier_troubles t) AS troubles
FROM waiting
