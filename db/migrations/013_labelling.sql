-- What people are to label, and what they said: a row a text, in a schema that nobody's data is in.
DO $$
BEGIN
    -- Somebody's own schema of that name steps aside.
    IF EXISTS (SELECT FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
               WHERE n.nspname = 'label_queue' AND r.rolname <> 'training_predictions') THEN
        RAISE WARNING 'the schema label_queue is renamed to not_ours_label_queue: the platform has its queue there';
        ALTER SCHEMA label_queue RENAME TO not_ours_label_queue;
    END IF;
END
$$;
CREATE SCHEMA IF NOT EXISTS label_queue AUTHORIZATION training_predictions;

-- An item is open until it has a label, labelled until that label is settled (the row is written, in one transaction
-- with settled_at), and dropped where it is wanted no longer or its table refused the label.
CREATE TABLE IF NOT EXISTS label_queue.items (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    classifier text NOT NULL,
    reason text NOT NULL CHECK (reason IN ('disagreement', 'uncertain', 'audit', 'error')),
    request_id text,                 -- of the logged answer; null for rows of tables
    place integer,
    answered_at timestamptz,
    text text,                       -- null once it is older than the log of predictions may be
    text_hash bytea NOT NULL,        -- SHA-256 of the text
    champion_version integer,
    champion_label text,
    champion_scores jsonb,           -- {label: probability}
    shadow_version integer,
    shadow_label text,
    source text CHECK (source IN ('train', 'test')),  -- for 'error' the table,
    source_key text,                                  -- what finds the row there,
    given_label text,                                 -- and the label that it has now
    priority real NOT NULL DEFAULT 0,                 -- higher is asked earlier, among those of one reason
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    held_by text,                    -- who has it on the screen, and until when it is nobody else's
    held_until timestamptz,
    skipped_by text[] NOT NULL DEFAULT '{}',
    label text,
    labeller text,
    labelled_at timestamptz,
    settled_at timestamptz,
    dropped_at timestamptz,
    because text,                    -- of what was dropped, or why a label waits
    CHECK ((label IS NULL) = (labelled_at IS NULL) AND (label IS NULL) = (labeller IS NULL)),
    CHECK (settled_at IS NULL OR label IS NOT NULL),
    CHECK ((reason = 'error') = (source IS NOT NULL))
);
-- A text is asked once; as a row of a table it may be asked again.
CREATE UNIQUE INDEX IF NOT EXISTS items_once ON label_queue.items (classifier, text_hash, source) NULLS NOT DISTINCT
    WHERE dropped_at IS NULL;
CREATE INDEX IF NOT EXISTS items_open ON label_queue.items (classifier, reason, priority DESC, id)
    WHERE label IS NULL AND dropped_at IS NULL;
CREATE INDEX IF NOT EXISTS items_labelled ON label_queue.items (labelled_at)
    WHERE label IS NOT NULL AND settled_at IS NULL AND dropped_at IS NULL;
CREATE INDEX IF NOT EXISTS items_of_shadow ON label_queue.items (classifier, shadow_version) WHERE shadow_version IS NOT NULL;
ALTER TABLE label_queue.items OWNER TO training_predictions;
