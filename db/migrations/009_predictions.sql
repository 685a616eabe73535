-- The log of predictions: what replicas were asked and answered, a row a text, in a schema that nobody's data is in.
DO $$
BEGIN
    -- Somebody's own schema of that name steps aside.
    IF EXISTS (SELECT FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
               WHERE n.nspname = 'prediction_log' AND r.rolname <> 'training_predictions') THEN
        RAISE WARNING 'the schema prediction_log is renamed to not_ours_prediction_log: the platform has its log there';
        ALTER SCHEMA prediction_log RENAME TO not_ours_prediction_log;
    END IF;
END
$$;
CREATE SCHEMA IF NOT EXISTS prediction_log AUTHORIZATION training_predictions;

-- One partition a day (UTC), which prediction_log.keep makes ahead and drops. No key: a client may use an id twice.
CREATE TABLE IF NOT EXISTS prediction_log.answers (
    at timestamptz NOT NULL,
    request_id text NOT NULL,    -- X-Request-Id
    place integer NOT NULL,      -- of the text in its request, from 0
    classifier text NOT NULL,
    version integer NOT NULL,
    replica text NOT NULL,
    text text,                   -- null where PREDICTION_LOG is hashed
    text_hash text,              -- then HMAC-SHA256 of the text, with PLATFORM_TOKEN as its key
    label text NOT NULL,         -- that of the highest score
    scores jsonb NOT NULL,       -- {label: probability}
    truncated boolean NOT NULL,  -- whether the model read a part of the text alone
    pieces integer               -- tokens that the model read
) PARTITION BY RANGE (at);
CREATE INDEX IF NOT EXISTS answers_of_request ON prediction_log.answers (request_id);
CREATE INDEX IF NOT EXISTS answers_of_classifier ON prediction_log.answers (classifier, at);
ALTER TABLE prediction_log.answers OWNER TO training_predictions;
