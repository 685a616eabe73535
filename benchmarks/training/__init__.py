"""How fast and how well we train, and what a job costs beside it: `python -m benchmarks.training`."""
