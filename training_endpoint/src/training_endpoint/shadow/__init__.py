"""A challenger that may be better than the Champion: it answers logged texts again, and labels decide about it.

It reads the log of predictions, adds to the queue of what to label, and decides by way of the ledger; replicas know
nothing of it.
"""
