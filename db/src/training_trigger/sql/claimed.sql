-- That of a retired classifier is left alone until somebody takes it up again.
SELECT d.dag_run_id, d.conf FROM public.training_deliveries d
WHERE d.state = 'claimed' AND NOT EXISTS (
    SELECT FROM public.classifiers c WHERE c.name = d.conf ->> 'classifier' AND c.retired_at IS NOT NULL)
ORDER BY d.created_at
LIMIT 1
