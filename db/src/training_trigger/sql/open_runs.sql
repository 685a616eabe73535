-- Accepted runs that may be over: their job has ended, or they have none (yet).
SELECT d.dag_run_id, j.status, j.error
FROM public.training_deliveries d LEFT JOIN public.training_jobs j ON j.run_id = d.dag_run_id
WHERE d.state = 'accepted' AND (j.status IS NULL OR j.status NOT IN ('queued', 'running'))
ORDER BY d.created_at
LIMIT 20
