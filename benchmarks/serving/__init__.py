"""How fast the Champion is served, beside others on the same cores: `python -m benchmarks.serving`."""
