-- name: ledger_insert
INSERT INTO promotion_ledger (who, model_name, from_version, to_version, verdict, reason, evidence, job_id)
SELECT %(who)s, %(model_name)s, %(from_version)s::int, %(to_version)s::int, %(verdict)s, %(reason)s, %(evidence)s, %(job_id)s
WHERE %(job_id)s::text IS NULL
   OR EXISTS (SELECT FROM training_jobs WHERE job_id = %(job_id)s AND status = 'running' FOR SHARE)
RETURNING id

-- name: ledger_of_job
SELECT to_version,
       id = (SELECT max(id) FROM promotion_ledger newer WHERE newer.model_name = mine.model_name) AS newest
FROM promotion_ledger mine
WHERE job_id = %(job_id)s
ORDER BY id DESC
LIMIT 1
