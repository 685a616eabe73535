"""What the log of predictions tells: right answers that come back, and whether the given ones are still right.

It reads the log, and in the ledger which version answers, and writes training rows from feedback; it decides nothing.
"""
