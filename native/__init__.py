"""The platform as plain processes under a supervisor: an installer and a process list, nothing else."""
