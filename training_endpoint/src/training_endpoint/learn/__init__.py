"""From a base model and rows to a trained classifier, on a CPU, a GPU or several.

May touch the job's own folder and the hub's base models; knows neither database nor MLflow.
"""
