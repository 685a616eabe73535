-- The log of predictions: its days, and who may do what. Replicas, as the role serving, add rows and do nothing else.
SET search_path = pg_catalog, pg_temp;

-- Makes the days ahead and drops one that ended more than `days` days ago; null drops none. Answers which it dropped:
-- call it again until it is null. No lock that it waits for or holds keeps a replica's COPY waiting: a day is attached
-- beside writers, and dropped only where the lock is to be had at once, else by a later call.
CREATE OR REPLACE FUNCTION prediction_log.keep(days integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms'
SET client_min_messages = warning AS $$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    day date;
    name text;
BEGIN
    -- One at a time; it waits for no writer and no reader.
    LOCK TABLE prediction_log.answers IN SHARE UPDATE EXCLUSIVE MODE;
    FOR day IN SELECT today + ahead FROM generate_series(-1, 7) ahead LOOP
        name := 'answers_' || to_char(day, 'YYYYMMDD');
        IF to_regclass('prediction_log.' || name) IS NULL THEN
            EXECUTE format('CREATE TABLE prediction_log.%I (LIKE prediction_log.answers)', name);
            EXECUTE format('ALTER TABLE prediction_log.answers ATTACH PARTITION prediction_log.%I FOR VALUES FROM (%L) TO (%L)',
                name, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
        END IF;
    END LOOP;
    SELECT c.relname INTO name
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'prediction_log.answers'::regclass AND c.relname ~ '^answers_\d{8}$'
      AND c.relname < 'answers_' || to_char(today - days, 'YYYYMMDD')
    ORDER BY c.relname LIMIT 1;
    IF name IS NOT NULL THEN
        EXECUTE format('DROP TABLE prediction_log.%I', name);
    END IF;
    RETURN name;
EXCEPTION WHEN lock_not_available THEN
    RETURN NULL;
END
$$;
ALTER FUNCTION prediction_log.keep(integer) OWNER TO training_predictions;
SELECT prediction_log.keep(NULL);

REVOKE EXECUTE ON FUNCTION prediction_log.keep(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION prediction_log.keep(integer) TO platform;
GRANT USAGE ON SCHEMA prediction_log TO platform, serving;
GRANT SELECT ON prediction_log.answers TO platform;
GRANT INSERT ON prediction_log.answers TO serving;
