"""What is served and why: the ledger decides, MLflow's alias and every replica follow it.

The only room that writes the ledger, MLflow and the model endpoints.
"""
