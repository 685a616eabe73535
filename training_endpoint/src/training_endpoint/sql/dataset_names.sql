SELECT name FROM training_datasets
