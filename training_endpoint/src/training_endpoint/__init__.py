"""Trains text classifiers on the newest rows, and decides which version is the Champion."""
