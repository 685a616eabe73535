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

-- name: ledger_looks
SELECT coalesce(sum(shared.part), 0)::float AS earlier
FROM promotion_ledger,
     LATERAL (SELECT count(*)::float / cardinality(%(test)s::text[]) AS part
              FROM jsonb_array_elements_text(evidence -> 'rows' -> 'test') AS row
              WHERE row = ANY (%(test)s)) AS shared
WHERE model_name = %(model_name)s AND jsonb_typeof(evidence -> 'difference') = 'object'

-- name: ledger_rows_of
SELECT evidence -> 'rows' AS rows
FROM promotion_ledger
WHERE model_name = %(model_name)s AND evidence ->> 'challenger_version' = %(version)s::text
ORDER BY id DESC
LIMIT 1
