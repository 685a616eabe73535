-- name: exchange_ids
-- What waits and is on nobody's screen: the first of each reason, the second of each, and so on.
SELECT id FROM (
    SELECT id, row_number() OVER (PARTITION BY reason ORDER BY priority DESC, id) AS place
    FROM label_queue.items
    WHERE classifier = %(classifier)s AND label IS NULL AND dropped_at IS NULL AND text IS NOT NULL
      AND (held_until IS NULL OR held_until <= clock_timestamp())
) ordered
ORDER BY place, id LIMIT %(most)s

-- name: exchange_texts
SELECT i.id AS item, i.text
FROM unnest(%(ids)s::bigint[]) WITH ORDINALITY asked (id, place) JOIN label_queue.items i USING (id)
WHERE i.label IS NULL AND i.dropped_at IS NULL AND i.text IS NOT NULL
ORDER BY asked.place

-- name: exchange_lock
SELECT * FROM label_queue.items WHERE id = ANY (%(ids)s) ORDER BY id FOR UPDATE

-- name: exchange_label
UPDATE label_queue.items
SET label = said.label, labeller = said.person, labelled_at = clock_timestamp(), held_by = NULL, held_until = NULL,
    because = NULL
FROM unnest(%(ids)s::bigint[], %(labels)s::text[], %(people)s::text[]) said (id, label, person)
WHERE items.id = said.id
