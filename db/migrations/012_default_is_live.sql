-- The default classifier is none that was retired, whoever writes at the same time.
UPDATE public.classifiers SET retired_at = NULL WHERE is_default AND retired_at IS NOT NULL;
ALTER TABLE public.classifiers
    DROP CONSTRAINT IF EXISTS classifiers_default_is_live,
    ADD CONSTRAINT classifiers_default_is_live CHECK (NOT is_default OR retired_at IS NULL);
