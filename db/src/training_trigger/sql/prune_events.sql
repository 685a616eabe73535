-- One small batch, so that nobody waits for it. What belongs to no classifier is covered by none.
WITH old AS (
    SELECT e.id, e.classifier
    FROM public.training_event_history e
    LEFT JOIN public.training_coverage c ON c.event_id = e.id AND c.classifier = e.classifier
    WHERE e.created_at < clock_timestamp() - make_interval(secs => %(seconds)s)
      AND (c.event_id IS NOT NULL OR e.classifier = '')
    ORDER BY e.id
    LIMIT %(batch)s
), coverage AS (
    DELETE FROM public.training_coverage WHERE (event_id, classifier) IN (SELECT id, classifier FROM old)
)
DELETE FROM public.training_event_history WHERE (id, classifier) IN (SELECT id, classifier FROM old)
