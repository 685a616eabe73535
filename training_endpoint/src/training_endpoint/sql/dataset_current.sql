SELECT name, train_table, test_table, text_column, label_column, labels, source
FROM training_datasets
WHERE current
