UPDATE public.training_deliveries
SET attempts = attempts + 1, last_error = %(error)s
WHERE dag_run_id = %(dag_run_id)s AND state = 'claimed'
