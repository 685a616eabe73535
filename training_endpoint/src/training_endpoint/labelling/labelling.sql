-- name: items_add
INSERT INTO label_queue.items
    (classifier, reason, request_id, place, answered_at, text, text_hash, champion_version, champion_label,
     champion_scores, shadow_version, shadow_label, source, source_key, given_label, priority)
VALUES
    (%(classifier)s, %(reason)s, %(request_id)s, %(place)s, %(answered_at)s, %(text)s, %(text_hash)s,
     %(champion_version)s, %(champion_label)s, %(champion_scores)s, %(shadow_version)s, %(shadow_label)s, %(source)s,
     %(source_key)s, %(given_label)s, %(priority)s)
ON CONFLICT DO NOTHING

-- name: items_open
-- How many wait, by reason.
SELECT reason, count(*) AS items FROM label_queue.items
WHERE classifier = %(classifier)s AND label IS NULL AND dropped_at IS NULL
GROUP BY reason

-- name: items_held
-- What one has on the screen already, for longer now.
UPDATE label_queue.items SET held_until = clock_timestamp() + make_interval(secs => %(seconds)s)
WHERE id = (
    SELECT id FROM label_queue.items
    WHERE classifier = %(classifier)s AND held_by = %(holder)s AND held_until > clock_timestamp()
      AND label IS NULL AND dropped_at IS NULL AND reason = ANY (%(reasons)s)
    ORDER BY held_until DESC LIMIT 1 FOR UPDATE)
RETURNING *

-- name: items_reasons
-- Those of which there is something for this person.
SELECT wanted.reason FROM unnest(%(reasons)s::text[]) wanted (reason)
WHERE EXISTS (
    SELECT FROM label_queue.items i
    WHERE i.classifier = %(classifier)s AND i.reason = wanted.reason AND i.label IS NULL AND i.dropped_at IS NULL
      AND (i.held_until IS NULL OR i.held_until <= clock_timestamp()) AND %(person)s <> ALL (i.skipped_by))

-- name: items_take
-- The first that nobody has; two who ask at once get two.
UPDATE label_queue.items SET held_by = %(holder)s, held_until = clock_timestamp() + make_interval(secs => %(seconds)s)
WHERE id = (
    SELECT id FROM label_queue.items
    WHERE classifier = %(classifier)s AND reason = %(reason)s AND label IS NULL AND dropped_at IS NULL
      AND (held_until IS NULL OR held_until <= clock_timestamp()) AND %(person)s <> ALL (skipped_by)
    ORDER BY priority DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING *

-- name: items_get
SELECT * FROM label_queue.items WHERE id = %(id)s

-- name: items_lock
SELECT * FROM label_queue.items WHERE id = %(id)s FOR UPDATE

-- name: items_label
UPDATE label_queue.items
SET label = %(label)s, labeller = %(person)s, labelled_at = clock_timestamp(), held_until = NULL, because = NULL
WHERE id = %(id)s
RETURNING *

-- name: items_skip
UPDATE label_queue.items SET skipped_by = array_append(array_remove(skipped_by, %(person)s), %(person)s), held_until = NULL
WHERE id = %(id)s
RETURNING *

-- name: items_take_back
-- The label or the skipping of one who has the text on the screen again.
UPDATE label_queue.items
SET label = NULL, labeller = NULL, labelled_at = NULL, because = NULL, skipped_by = array_remove(skipped_by, %(person)s),
    held_by = %(holder)s, held_until = clock_timestamp() + make_interval(secs => %(seconds)s)
WHERE id = %(id)s
RETURNING *

-- name: items_let_go
UPDATE label_queue.items SET held_until = NULL WHERE held_by = %(holder)s AND held_until IS NOT NULL

-- name: items_drop
UPDATE label_queue.items SET dropped_at = clock_timestamp(), because = %(because)s
WHERE id = ANY (%(ids)s) AND label IS NULL AND dropped_at IS NULL

-- name: items_counts
SELECT count(*) FILTER (WHERE label IS NULL) AS open,
       count(*) FILTER (WHERE label IS NOT NULL AND settled_at IS NULL) AS waiting,
       count(*) FILTER (WHERE settled_at IS NOT NULL) AS settled,
       count(*) FILTER (WHERE labeller = %(person)s AND labelled_at >= date_trunc('day', clock_timestamp())) AS today,
       count(*) FILTER (WHERE label IS NULL AND held_until > clock_timestamp() AND held_by <> %(holder)s) AS held,
       count(*) FILTER (WHERE label IS NULL AND %(person)s = ANY (skipped_by)) AS skipped,
       max(because) FILTER (WHERE label IS NOT NULL AND settled_at IS NULL) AS because
FROM label_queue.items
WHERE classifier = %(classifier)s AND dropped_at IS NULL

-- name: items_refused
-- Labels of the last day that their table did not take, the newest first.
SELECT id, label, because FROM label_queue.items
WHERE classifier = %(classifier)s AND dropped_at > clock_timestamp() - interval '1 day' AND label IS NOT NULL
ORDER BY dropped_at DESC LIMIT 5

-- name: items_settleable
-- Labels that can be undone no more, or whose labeller has gone on; of rows that nobody else settles now.
SELECT *, concat_ws(' ', classifier, CASE WHEN reason = 'audit' OR source = 'test' THEN 'test' ELSE 'train' END, reason = 'error') AS goes_to
FROM label_queue.items
WHERE label IS NOT NULL AND settled_at IS NULL AND dropped_at IS NULL AND because IS NULL
  AND labelled_at <= clock_timestamp() - make_interval(secs => %(seconds)s)
  AND concat_ws(' ', classifier, CASE WHEN reason = 'audit' OR source = 'test' THEN 'test' ELSE 'train' END, reason = 'error') <> ALL (%(but)s)
ORDER BY labelled_at LIMIT 1
FOR UPDATE SKIP LOCKED

-- name: items_settleable_again
-- Those that have waited already: by chance, so that one that waits for ever keeps no other from its turn.
SELECT *, concat_ws(' ', classifier, CASE WHEN reason = 'audit' OR source = 'test' THEN 'test' ELSE 'train' END, reason = 'error') AS goes_to
FROM label_queue.items
WHERE label IS NOT NULL AND settled_at IS NULL AND dropped_at IS NULL AND because IS NOT NULL
  AND labelled_at <= clock_timestamp() - make_interval(secs => %(seconds)s)
  AND concat_ws(' ', classifier, CASE WHEN reason = 'audit' OR source = 'test' THEN 'test' ELSE 'train' END, reason = 'error') <> ALL (%(but)s)
ORDER BY random() LIMIT 1
FOR UPDATE SKIP LOCKED

-- name: items_settled
UPDATE label_queue.items SET settled_at = clock_timestamp(), because = NULL WHERE id = %(id)s

-- name: items_wait
UPDATE label_queue.items SET because = %(because)s WHERE id = %(id)s AND because IS DISTINCT FROM %(because)s

-- name: items_refuse
UPDATE label_queue.items SET dropped_at = clock_timestamp(), because = %(because)s WHERE id = %(id)s

-- name: items_labels
-- What people have said lately.
SELECT label FROM (
    SELECT label, labelled_at FROM label_queue.items
    WHERE classifier = %(classifier)s AND label IS NOT NULL AND (dropped_at IS NULL OR settled_at IS NOT NULL)
    ORDER BY labelled_at DESC LIMIT 2000
) newest
GROUP BY label ORDER BY min(labelled_at)

-- name: log_kept
-- Of the newest answers: whether there are any, and whether their texts are kept.
SELECT count(*) AS answers, count(text) AS texts FROM (
    SELECT text FROM prediction_log.answers WHERE classifier = ANY (%(names)s) ORDER BY at DESC LIMIT 200
) newest

-- name: pick_share
-- What part of the log's pages makes so many of them, in percent.
SELECT least(100, 100.0 * %(pages)s / greatest(1, sum(pg_relation_size(c.oid)) / 8192))::real AS share
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'prediction_log.answers'::regclass
  AND (c.relname !~ '^answers_\d{8}$'
       OR c.relname >= 'answers_' || to_char((clock_timestamp() - %(back)s::interval) AT TIME ZONE 'UTC', 'YYYYMMDD'))

-- name: pick_sample
-- Answers of a part of the pages, in an order by chance; those that feedback speaks of are labelled by it. A text whose
-- label its table has refused comes back after a day: else such texts would fill the queue.
SELECT a.at, a.request_id, a.place, a.version, a.text, a.label, a.scores
FROM prediction_log.answers a TABLESAMPLE SYSTEM (%(share)s)
WHERE a.at >= now() - %(back)s::interval AND a.classifier = ANY (%(names)s) AND octet_length(a.text) <= %(largest)s
  AND NOT EXISTS (
      SELECT FROM prediction_log.feedback f
      WHERE f.request_id = a.request_id AND f.place = a.place AND f.answered_at = a.at)
  AND NOT EXISTS (
      SELECT FROM label_queue.items i
      WHERE i.classifier = %(classifier)s AND i.text_hash = sha256(convert_to(a.text, 'UTF8')) AND i.source IS NULL
        AND (i.dropped_at IS NULL OR i.label IS NOT NULL AND i.dropped_at > clock_timestamp() - interval '1 day'))
ORDER BY random()
LIMIT %(most)s

-- name: pick_texts
-- What was asked lately, or will be.
SELECT text FROM label_queue.items
WHERE classifier = %(classifier)s AND text IS NOT NULL AND reason <> 'error'
ORDER BY id DESC LIMIT 500
