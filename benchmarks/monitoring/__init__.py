"""What the log of predictions costs, what an outage of the database costs, and how right the estimated accuracy is."""
