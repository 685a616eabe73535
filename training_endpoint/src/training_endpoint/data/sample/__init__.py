"""The sample dataset: train.csv, test.csv and new.csv, and the generator that made them."""
