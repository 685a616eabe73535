"""The right to answer, as the release desk lends it and replicas use it (docs/serving.md)."""

LENT_SECONDS = 6.0
"""From the answer before."""
PEERS_SECONDS = 2.0
"""What another replica's word is good for."""
