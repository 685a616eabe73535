DELETE FROM training_deliveries d
WHERE d.state = 'accepted'
  AND d.accepted_at < clock_timestamp() - make_interval(secs => %(seconds)s)
  AND NOT EXISTS (SELECT FROM training_event_history e WHERE e.dag_run_id = d.dag_run_id)
