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

-- name: reference_keep
INSERT INTO prediction_log.reference (model_name, version, found) VALUES (%(model)s, %(version)s, %(found)s)
ON CONFLICT (model_name, version) DO UPDATE SET found = excluded.found

-- name: reference_get
SELECT found FROM prediction_log.reference WHERE model_name = %(model)s AND version = %(version)s

-- name: log_hours
-- What the log has since then, by hour and version.
SELECT date_trunc('hour', at, 'UTC') AS hour, version, count(*) AS rows
FROM prediction_log.answers
WHERE classifier = ANY (%(names)s) AND at >= %(since)s
GROUP BY 1, 2 ORDER BY 1, 2

-- name: log_rows
-- One row in `every`, whole requests, which no client chooses: not by an id that it sends with all of them either.
SELECT label, scores, coalesce(length(text), -1) AS length,
       CASE WHEN NOT truncated AND pieces > 0 THEN pieces::float8 / cardinality(regexp_split_to_array(btrim(text, E' \t\r\n'), '\s+')) END
           AS pieces
FROM prediction_log.answers
WHERE classifier = ANY (%(names)s) AND version = %(version)s AND at >= %(hour)s AND at < %(hour)s + interval '1 hour'
  AND abs(hashtextextended(request_id || at::text, extract(epoch FROM %(hour)s::timestamptz)::bigint) %% %(every)s) = 0

-- name: hour_keep
INSERT INTO prediction_log.hours (classifier, version, hour, rows, found)
VALUES (%(classifier)s, %(version)s, %(hour)s, %(rows)s, %(found)s)
ON CONFLICT (classifier, hour, version) DO UPDATE SET rows = excluded.rows, found = excluded.found

-- name: hours
SELECT h.hour, h.version, h.rows, h.found
FROM prediction_log.hours h
WHERE h.classifier = %(classifier)s AND h.hour >= %(since)s
ORDER BY h.hour, h.version

-- name: hours_known
SELECT max(hour) AS newest FROM prediction_log.hours WHERE classifier = %(classifier)s

-- name: feedback_hours
SELECT date_trunc('hour', answered_at, 'UTC') AS hour, version, count(*) AS labels,
       count(*) FILTER (WHERE label = predicted) AS right
FROM prediction_log.feedback
WHERE classifier = ANY (%(names)s) AND answered_at >= %(since)s AND state <> 'refused'
GROUP BY 1, 2
