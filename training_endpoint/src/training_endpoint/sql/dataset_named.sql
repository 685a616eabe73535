SELECT * FROM training_datasets WHERE name = %(name)s
