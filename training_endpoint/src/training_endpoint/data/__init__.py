"""Rows: from a file, a folder or the hub into tables, and from tables into one job's snapshot.

May touch the training database and what DATASET names; knows nothing of models.
"""
