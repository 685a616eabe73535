-- The shadow of a classifier: a version that may be better than the Champion, and about which labels decide.
-- One at a time for each model; what became of earlier ones stays.
CREATE TABLE IF NOT EXISTS label_queue.shadows (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_name text NOT NULL,
    version integer NOT NULL,
    champion_version integer NOT NULL,  -- against which it stands, and of none other
    labels jsonb NOT NULL DEFAULT '[]', -- the classes that it knows
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The newest row of the log of predictions that it has answered again.
    seen_at timestamptz,
    seen_request text,
    seen_place integer,
    answered bigint NOT NULL DEFAULT 0, -- texts
    differed bigint NOT NULL DEFAULT 0, -- of those
    ended_at timestamptz,
    outcome text CHECK (outcome IN ('promoted', 'dropped', 'replaced', 'ended')),
    because text,
    CHECK ((ended_at IS NULL) = (outcome IS NULL))
);
CREATE UNIQUE INDEX IF NOT EXISTS shadows_one ON label_queue.shadows (model_name) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX IF NOT EXISTS shadows_version ON label_queue.shadows (model_name, version);
ALTER TABLE label_queue.shadows OWNER TO training_predictions;
