DELETE FROM public.training_deliveries d
WHERE d.state IN ('accepted', 'ended')
  AND coalesce(d.accepted_at, d.created_at) < clock_timestamp() - make_interval(secs => %(seconds)s)
  AND NOT EXISTS (SELECT FROM public.training_event_history e WHERE e.dag_run_id = d.dag_run_id)
