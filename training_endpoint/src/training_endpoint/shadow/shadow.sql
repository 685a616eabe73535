-- name: shadow_open
SELECT * FROM label_queue.shadows WHERE model_name = %(model)s AND ended_at IS NULL

-- name: shadow_newest
-- The one that there is, else the last.
SELECT * FROM label_queue.shadows WHERE model_name = %(model)s ORDER BY ended_at IS NULL DESC, id DESC LIMIT 1

-- name: shadows_open
SELECT * FROM label_queue.shadows WHERE ended_at IS NULL ORDER BY id

-- name: shadow_begin
INSERT INTO label_queue.shadows (model_name, version, champion_version, labels)
VALUES (%(model)s, %(version)s, %(champion)s, %(labels)s)

-- name: shadow_end
UPDATE label_queue.shadows SET ended_at = clock_timestamp(), outcome = %(outcome)s, because = %(because)s
WHERE model_name = %(model)s AND ended_at IS NULL AND version = coalesce(%(version)s, version)
RETURNING version

-- name: shadows_withdraw
-- What was to be labelled for shadows that have ended. What somebody has on the screen waits for a later call.
UPDATE label_queue.items i
SET dropped_at = clock_timestamp(),
    because = 'asked for the sake of version ' || i.shadow_version || ', which is the shadow no more'
WHERE i.reason = 'disagreement' AND i.shadow_version IS NOT NULL AND i.label IS NULL AND i.dropped_at IS NULL
  AND (i.held_until IS NULL OR i.held_until <= clock_timestamp())
  AND NOT EXISTS (
      SELECT FROM public.classifiers c
      JOIN label_queue.shadows s ON s.model_name = coalesce(c.model_name, c.name) AND s.ended_at IS NULL
      WHERE c.name = i.classifier AND s.version = i.shadow_version)

-- name: shadow_tally
-- Labels that nobody can take back any more, of texts that were asked because shadow and Champion differ.
SELECT count(*) FILTER (WHERE settled AND label = shadow_label) AS won,
       count(*) FILTER (WHERE settled AND label = champion_label) AS lost,
       count(*) FILTER (WHERE settled AND label NOT IN (shadow_label, champion_label)) AS neither,
       count(*) FILTER (WHERE label IS NULL) AS open
FROM (
    SELECT label, shadow_label, champion_label, settled_at IS NOT NULL AS settled
    FROM label_queue.items
    WHERE classifier = %(classifier)s AND reason = 'disagreement' AND shadow_version = %(version)s
      AND champion_version = %(champion)s AND dropped_at IS NULL
) item

-- name: shadow_texts
-- The next logged answers of the Champion, the oldest first: no score chooses among them. Those without a text too, so
-- that they are passed by once.
SELECT found.*
FROM unnest(%(names)s::text[]) name
CROSS JOIN LATERAL (
    SELECT a.at, a.request_id, a.place, a.text, a.label, a.scores
    FROM prediction_log.answers a
    WHERE a.classifier = name AND a.at >= %(since)s AND a.at < clock_timestamp() - make_interval(secs => %(lag)s)
      AND (a.at, a.request_id, a.place) > (%(since)s, %(request)s, %(place)s)
      AND a.version = %(champion)s
    ORDER BY a.at, a.request_id, a.place
    LIMIT %(most)s
) found
ORDER BY found.at, found.request_id, found.place
LIMIT %(most)s

-- name: shadow_takes_over
-- A text that waits because the Champion was unsure of it. Left to that, the ones on which the two differ would be
-- without those of which the Champion is unsure.
UPDATE label_queue.items
SET reason = 'disagreement', request_id = %(request_id)s, place = %(place)s, answered_at = %(answered_at)s,
    champion_version = %(champion_version)s, champion_label = %(champion_label)s, champion_scores = %(champion_scores)s,
    shadow_version = %(shadow_version)s, shadow_label = %(shadow_label)s, priority = %(priority)s
WHERE classifier = %(classifier)s AND text_hash = %(text_hash)s AND reason = 'uncertain' AND source IS NULL
  AND label IS NULL AND dropped_at IS NULL

-- name: shadow_seen
UPDATE label_queue.shadows
SET seen_at = %(at)s, seen_request = %(request)s, seen_place = %(place)s,
    answered = answered + %(answered)s, differed = differed + %(differed)s
WHERE id = %(id)s
