-- Runs that ended without training on their events, and what becomes of those events.

ALTER TABLE public.training_deliveries
    DROP CONSTRAINT training_deliveries_state_check,
    ADD CONSTRAINT training_deliveries_state_check CHECK (state IN ('claimed', 'accepted', 'ended')),
    ADD COLUMN because text;  -- why the run ended without training on its events; null: it did not
CREATE INDEX training_deliveries_accepted ON public.training_deliveries (created_at) WHERE state = 'accepted';
CREATE INDEX training_event_history_run ON public.training_event_history (dag_run_id);

-- Events of the history that a run left untrained.
CREATE TABLE public.training_untrained (
    event_id bigint PRIMARY KEY,
    runs integer NOT NULL,    -- that ended without it
    because text NOT NULL,    -- what became of the last one
    retry_at timestamptz,     -- from when on it is pending; null: a run has it, or it was given up
    given_up boolean NOT NULL
);

-- Runs that ended and left nothing behind, so that the first look at all others is short.
UPDATE public.training_deliveries d SET state = 'ended'
WHERE state = 'accepted' AND NOT EXISTS (
    SELECT FROM public.training_event_history e
    WHERE e.dag_run_id = d.dag_run_id
      AND NOT EXISTS (SELECT FROM public.training_coverage c WHERE c.event_id = e.id));
