-- name: flags_decided
-- What people said of these texts, whatever they were asked for; and rows whose correction waits, or was refused.
SELECT text_hash, label FROM label_queue.items
WHERE classifier = %(classifier)s AND text_hash = ANY (%(hashes)s) AND label IS NOT NULL
UNION
SELECT text_hash, given_label FROM label_queue.items
WHERE classifier = %(classifier)s AND text_hash = ANY (%(hashes)s) AND label IS NOT NULL AND settled_at IS NULL
  AND source = %(source)s

-- name: flags_open
SELECT id, text, text_hash, given_label, coalesce(held_until > clock_timestamp(), false) AS is_held
FROM label_queue.items
WHERE classifier = %(classifier)s AND source = %(source)s AND reason = 'error' AND label IS NULL AND dropped_at IS NULL
ORDER BY id FOR UPDATE

-- name: flags_drop
-- The text goes too: its row may be gone, and then it is nowhere.
UPDATE label_queue.items SET dropped_at = clock_timestamp(), because = 'the newest run has no doubt of it any more', text = NULL
WHERE id = ANY (%(ids)s) AND label IS NULL

-- name: flags_outdated
-- The row was labelled anew since a person spoke of it: what was said was of another label.
UPDATE label_queue.items SET dropped_at = clock_timestamp(), because = 'its row was labelled anew since'
WHERE classifier = %(classifier)s AND source = %(source)s AND reason = 'error' AND text_hash = ANY (%(hashes)s)
  AND settled_at IS NOT NULL AND dropped_at IS NULL

-- name: flags_put
INSERT INTO label_queue.items
    (classifier, reason, text, text_hash, source, given_label, champion_version, champion_label, champion_scores, priority)
VALUES (%(classifier)s, 'error', %(text)s, %(text_hash)s, %(source)s, %(given_label)s, %(version)s, %(answer)s, %(scores)s,
        %(priority)s)
ON CONFLICT (classifier, text_hash, source) WHERE dropped_at IS NULL DO UPDATE
SET champion_version = excluded.champion_version, champion_label = excluded.champion_label,
    champion_scores = excluded.champion_scores, priority = excluded.priority
WHERE items.label IS NULL AND items.given_label = excluded.given_label
