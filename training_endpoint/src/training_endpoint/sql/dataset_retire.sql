UPDATE training_datasets SET current = false WHERE current AND name <> %(name)s
