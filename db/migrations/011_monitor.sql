-- What the monitor has found: what a version answered on its test rows, and the log of predictions by hour.
CREATE TABLE IF NOT EXISTS prediction_log.reference (
    model_name text NOT NULL,
    version integer NOT NULL,
    found jsonb NOT NULL,
    PRIMARY KEY (model_name, version)
);
CREATE TABLE IF NOT EXISTS prediction_log.hours (
    classifier text NOT NULL,
    version integer NOT NULL,
    hour timestamptz NOT NULL,
    rows bigint NOT NULL,    -- of the log
    found jsonb NOT NULL,
    PRIMARY KEY (classifier, hour, version)
);
ALTER TABLE prediction_log.reference OWNER TO training_predictions;
ALTER TABLE prediction_log.hours OWNER TO training_predictions;
