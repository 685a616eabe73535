-- For each classifier the age in seconds of its oldest and its newest pending event, and their rows; one of which no count
-- is known counts as one. What earlier runs left untrained is pending when its pause is over and no run that may cover it
-- is under way.
WITH pending AS (
    SELECT classifier, created_at, rows
    FROM public.training_event_history
    WHERE dag_run_id IS NULL AND classifier <> ''
    UNION ALL
    SELECT e.classifier, e.created_at, e.rows
    FROM public.training_untrained u
    JOIN public.training_event_history e ON e.id = u.event_id AND e.classifier = u.classifier
    WHERE u.retry_at <= clock_timestamp()
      AND NOT EXISTS (
          SELECT FROM public.training_jobs j
          WHERE j.status IN ('queued', 'running') AND coalesce(j.classifier, u.classifier) = u.classifier)
      AND NOT EXISTS (
          SELECT FROM public.training_deliveries d
          WHERE d.state = 'accepted' AND coalesce(d.conf ->> 'classifier', u.classifier) = u.classifier)
)
SELECT extract(epoch FROM clock_timestamp() - min(p.created_at))::float8 AS oldest_age,
       extract(epoch FROM clock_timestamp() - max(p.created_at))::float8 AS newest_age,
       least(sum(greatest(coalesce(p.rows, 1), 1)::numeric), 1e18)::bigint AS rows,
       c.name AS classifier, c.is_default
FROM pending p JOIN public.classifiers c ON c.name = p.classifier AND c.retired_at IS NULL
GROUP BY c.name
ORDER BY min(p.created_at)
