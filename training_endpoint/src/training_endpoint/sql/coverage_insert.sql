INSERT INTO training_coverage (event_id, job_id)
SELECT unnest(%(event_ids)s::bigint[]), %(job_id)s
ON CONFLICT (event_id) DO NOTHING
