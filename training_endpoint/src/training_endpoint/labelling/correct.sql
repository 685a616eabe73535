-- name: correct_labels
-- Texts are compared byte by byte, whatever the column's type and collation.
SELECT DISTINCT {label}::text COLLATE "C" AS label FROM {table} WHERE {text}::text COLLATE "C" = %(text)s

-- name: correct_write
UPDATE {table} SET {label} = %(right)s
WHERE {text}::text COLLATE "C" = %(text)s AND {label}::text COLLATE "C" = ANY (%(wrong)s)
