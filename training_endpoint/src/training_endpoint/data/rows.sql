-- name: columns
SELECT a.attname AS name, format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL) AS type,
       has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS readable
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = %(table)s::regclass AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum

-- name: rows
-- One character more than the limit, so that the reader can tell a cut text from a whole one.
COPY (SELECT left({text}::text, {limit} + 1) AS text, {label}::text AS label FROM {table} WHERE {side})
TO STDOUT (FORMAT binary)

-- name: held_out
-- One text in five, whatever else the table holds: equal texts are on one side, and a row never changes sides.
coalesce(get_byte(sha256(convert_to({text}::text, 'UTF8')), 0), 255) < 51

-- name: events_uncovered
SELECT e.id
FROM public.training_events e
WHERE e.classifier = %(name)s
  AND NOT EXISTS (
      SELECT FROM public.training_coverage c WHERE c.event_id = e.id AND c.classifier = e.classifier)
ORDER BY e.id

-- name: lock_patience
-- For so long whoever locks a table is waited for, in this transaction.
SELECT set_config('lock_timeout', %(timeout)s, true)

-- name: writing_ends
-- What COMMIT would refuse is refused here, where it is known which row it is.
SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL lock_timeout = 0
