-- What of a database must be the same before and after: the rows of each table, the next number of each sequence.
SET search_path = pg_catalog, pg_temp;
SELECT format('SELECT %L, count(*) FROM %s', oid::regclass, oid::regclass) FROM pg_class
WHERE relkind IN ('r', 'm') AND relpersistence <> 't'
    AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'pg_toast'::regnamespace)
ORDER BY oid::regclass::text COLLATE "C" \gexec
SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY schemaname, sequencename;
