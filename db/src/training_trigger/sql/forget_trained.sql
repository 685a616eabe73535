-- What was left untrained and a later run covered.
DELETE FROM public.training_untrained u
WHERE EXISTS (SELECT FROM public.training_coverage c WHERE c.event_id = u.event_id AND c.classifier = u.classifier)
   OR NOT EXISTS (
       SELECT FROM public.training_event_history e WHERE e.id = u.event_id AND e.classifier = u.classifier)
   OR EXISTS (
       SELECT FROM public.training_event_history e JOIN public.training_deliveries d USING (dag_run_id)
       WHERE e.id = u.event_id AND e.classifier = u.classifier AND d.state = 'ended' AND d.because IS NULL)
