UPDATE training_datasets SET current = true WHERE name = %(name)s
