-- name: feedback_ready
-- Of one classifier, the one whose note has waited longest.
SELECT f.id, f.classifier, f.text, f.label
FROM prediction_log.feedback f
WHERE f.state = ANY (%(states)s)
  AND f.classifier = (
      SELECT o.classifier FROM prediction_log.feedback o
      WHERE o.state = ANY (%(states)s) AND o.classifier <> ALL (%(but)s) ORDER BY o.id LIMIT 1)
ORDER BY f.id
LIMIT %(most)s
FOR UPDATE SKIP LOCKED

-- name: feedback_became
UPDATE prediction_log.feedback
SET state = %(state)s, because = %(because)s, decided_at = clock_timestamp(),
    text = CASE WHEN %(state)s = 'row' THEN NULL ELSE text END
WHERE id = ANY (%(ids)s)

-- name: feedback_waits_because
UPDATE prediction_log.feedback SET because = %(because)s WHERE id = ANY (%(ids)s) AND because IS DISTINCT FROM %(because)s

-- name: feedback_decide
-- By a person, who may change a decision until it is a row.
UPDATE prediction_log.feedback SET state = %(state)s, because = %(because)s, decided_at = clock_timestamp()
WHERE id = ANY (%(ids)s) AND state IN ('waiting', 'accepted', 'refused') AND text IS NOT NULL
RETURNING id

-- name: feedback_newest
SELECT id, at, request_id, place, classifier, version, predicted, label, text, state, because, decided_at
FROM prediction_log.feedback
WHERE (%(classifier)s::text IS NULL OR classifier = %(classifier)s) AND (%(state)s::text IS NULL OR state = %(state)s)
ORDER BY id DESC
LIMIT %(most)s

-- name: feedback_table
-- By the classifier's name, or that of its model, which the log has where a replica did not know the other.
SELECT name, train_table, text_column, label_column
FROM public.classifiers
WHERE retired_at IS NULL AND %(name)s IN (name, coalesce(model_name, name))
ORDER BY name = %(name)s DESC
LIMIT 1
