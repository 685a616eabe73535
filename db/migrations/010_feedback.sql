-- What applications say was right: at first a note, then a row of the classifier's training table.
CREATE TABLE IF NOT EXISTS prediction_log.feedback (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    request_id text NOT NULL,
    place integer NOT NULL,
    answered_at timestamptz NOT NULL,  -- of the answer that it speaks of
    classifier text NOT NULL,
    version integer NOT NULL,
    predicted text NOT NULL,
    label text NOT NULL,
    text text,                         -- null once it is a row, and where the log kept none
    -- waiting for the training endpoint, which sets the others; accepted by a person; row of the training table;
    -- refused by a person or by that table; no_text: it counts for the accuracy alone
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'accepted', 'row', 'refused', 'no_text')),
    because text,
    decided_at timestamptz,
    UNIQUE (request_id, place, answered_at)
);
CREATE INDEX IF NOT EXISTS feedback_open ON prediction_log.feedback (id) WHERE state IN ('waiting', 'accepted');
CREATE INDEX IF NOT EXISTS feedback_of_classifier ON prediction_log.feedback (classifier, answered_at);
ALTER TABLE prediction_log.feedback OWNER TO training_predictions;
