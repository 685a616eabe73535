"""Serves the Champion of the registry over HTTP and follows it from version to version."""
