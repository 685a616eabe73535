"""What the pipeline's tasks do: three HTTP conversations, with the training endpoint and the model endpoints."""
