"""The queue of training jobs, one process for each job, and the way of a job through the other rooms."""
