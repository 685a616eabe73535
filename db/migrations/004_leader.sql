-- The relay that delivers holds a lock on this table, which nobody else may take; there are no rows.
CREATE TABLE public.training_leader ();
