SELECT dag_run_id, conf FROM public.training_deliveries WHERE state = 'claimed' ORDER BY created_at LIMIT 1
