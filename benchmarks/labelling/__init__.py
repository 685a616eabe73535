"""What labels are worth: python -m benchmarks.labelling."""
