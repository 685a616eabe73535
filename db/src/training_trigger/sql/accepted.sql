UPDATE public.training_deliveries
SET state = 'accepted', accepted_at = clock_timestamp(), attempts = attempts + 1, last_error = NULL
WHERE dag_run_id = %(dag_run_id)s AND state = 'claimed'
