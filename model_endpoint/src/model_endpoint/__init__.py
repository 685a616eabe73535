"""Serves over HTTP the version that the release desk names. May touch its own store, and read files from MLflow."""
