-- One small batch, so that nobody waits for it.
WITH old AS (
    SELECT e.id
    FROM public.training_event_history e JOIN public.training_coverage c ON c.event_id = e.id
    WHERE e.created_at < clock_timestamp() - make_interval(secs => %(seconds)s)
    ORDER BY e.id
    LIMIT %(batch)s
), coverage AS (
    DELETE FROM public.training_coverage WHERE event_id IN (SELECT id FROM old)
)
DELETE FROM public.training_event_history WHERE id IN (SELECT id FROM old)
