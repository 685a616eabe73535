-- Age in seconds of the oldest and the newest pending event, and their rows; one of which no count is known counts as one.
-- What earlier runs left untrained is pending when its pause is over and no run that may cover it is under way.
WITH pending AS (
    SELECT created_at, rows FROM public.training_event_queue
    UNION ALL
    SELECT e.created_at, e.rows
    FROM public.training_untrained u JOIN public.training_event_history e ON e.id = u.event_id
    WHERE u.retry_at <= clock_timestamp()
      AND NOT EXISTS (SELECT FROM public.training_jobs WHERE status IN ('queued', 'running'))
      AND NOT EXISTS (SELECT FROM public.training_deliveries WHERE state = 'accepted')
)
SELECT extract(epoch FROM clock_timestamp() - min(created_at))::float8 AS oldest_age,
       extract(epoch FROM clock_timestamp() - max(created_at))::float8 AS newest_age,
       least(sum(greatest(coalesce(rows, 1), 1)::numeric), 1e18)::bigint AS rows
FROM pending
HAVING count(*) > 0
