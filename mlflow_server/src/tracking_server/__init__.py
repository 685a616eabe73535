"""MLflow's tracking server with the platform's accounts. Touches MLflow's own database and nothing else."""
