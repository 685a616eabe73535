-- A writer could make up the number of its rows; what is not at least one is not known.
UPDATE public.training_event_queue SET rows = NULL WHERE rows < 1;
UPDATE public.training_event_history SET rows = NULL WHERE rows < 1;
