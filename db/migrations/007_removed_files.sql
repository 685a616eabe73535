-- Versions whose files are kept no longer. They stay in the table: what vouched for them, and that they are gone.
ALTER TABLE public.training_versions
    ADD COLUMN removed_at timestamptz,  -- from then on nobody may decide for the version or ask for its files
    ADD COLUMN removed_because text,
    ADD COLUMN gone_at timestamptz;     -- when MLflow had deleted them
