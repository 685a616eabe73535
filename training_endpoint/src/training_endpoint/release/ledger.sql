-- name: ledger_history
SELECT id, at, who, model_name, from_version, to_version, verdict, reason, evidence, job_id, pinned, alias_at, served_at
FROM public.promotion_ledger
WHERE model_name = %(model_name)s
ORDER BY id DESC
LIMIT %(limit)s

-- name: ledger_champions
SELECT to_version AS version
FROM public.promotion_ledger
WHERE model_name = %(model_name)s AND to_version IS NOT NULL
GROUP BY to_version
ORDER BY max(id) DESC

-- name: ledger_reason
SELECT id, at, who, model_name, from_version, to_version, verdict, reason, evidence, job_id, pinned, alias_at, served_at
FROM public.promotion_ledger
WHERE model_name = %(model_name)s AND to_version = %(version)s AND from_version IS DISTINCT FROM to_version
ORDER BY id DESC
LIMIT 1

-- name: ledger_looks
SELECT coalesce(sum(shared.part), 0)::float AS earlier
FROM public.promotion_ledger,
     LATERAL (SELECT count(*)::float / cardinality(%(test)s::text[]) AS part
              FROM jsonb_array_elements_text(evidence -> 'rows' -> 'test') AS row
              WHERE row = ANY (%(test)s)) AS shared
WHERE model_name = %(model_name)s AND jsonb_typeof(evidence -> 'difference') = 'object'

-- name: ledger_rows_of
SELECT evidence -> 'rows' AS rows
FROM public.promotion_ledger
WHERE model_name = %(model_name)s AND evidence ->> 'challenger_version' = %(version)s::text
ORDER BY id DESC
LIMIT 1

-- name: ledger_decide_for_job
SELECT public.decide_for_job(
    %(job_id)s, %(model_name)s, %(compared_with)s::int, %(was_pinned)s, %(to_version)s::int, %(verdict)s, %(reason)s,
    %(evidence)s)

-- name: ledger_decide_by_hand
SELECT public.decide_by_hand(%(who)s, %(model_name)s, %(to_version)s::int, %(pinned)s, %(verdict)s, %(reason)s)

-- name: ledger_decide_by_labels
SELECT public.decide_by_labels(
    %(model_name)s, %(version)s::int, %(compared_with)s::int, %(promotes)s, %(verdict)s, %(reason)s, %(evidence)s)

-- name: ledger_took_effect
SELECT public.decision_took_effect(%(id)s, %(place)s)

-- name: ledger_breaks
SELECT id FROM public.ledger_breaks ORDER BY id

-- name: ledger_head
SELECT count(*) AS rows, (SELECT hash FROM public.promotion_ledger ORDER BY id DESC LIMIT 1) AS hash
FROM public.promotion_ledger

-- name: version_record
INSERT INTO public.training_versions (model_name, version, run_id, root, files, metrics, tags, job_id)
VALUES (%(name)s, %(version)s, %(run_id)s, %(root)s, %(files)s, %(metrics)s, %(tags)s, %(job_id)s)

-- name: version_get
SELECT model_name AS name, version, run_id, root, files, metrics, tags, removed_at, removed_because
FROM public.training_versions
WHERE model_name = %(name)s AND version = %(version)s

-- name: version_at
SELECT 1 AS found FROM public.training_versions WHERE root = %(root)s

-- name: versions_unvouched
SELECT DISTINCT l.to_version AS version
FROM public.promotion_ledger l
WHERE l.model_name = %(name)s
  AND l.to_version IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM public.training_versions v WHERE v.model_name = l.model_name AND v.version = l.to_version
  )
ORDER BY l.to_version DESC

-- name: ledger_newest_two
SELECT id FROM promotion_ledger WHERE model_name = %(model_name)s ORDER BY id DESC LIMIT 2
