-- Labels that people change must stay a list; what stands in it is compared as text.
ALTER TABLE public.training_datasets ADD CONSTRAINT training_datasets_labels_list CHECK (
    jsonb_typeof(labels) = 'array'
    AND NOT jsonb_path_exists(labels, 'strict $[*] ? (@.type() == "array" || @.type() == "object")')
) NOT VALID;
