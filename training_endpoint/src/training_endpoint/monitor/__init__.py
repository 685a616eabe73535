"""What the log of predictions tells: right answers that come back, and whether the given ones are still right.

It reads the log and writes training rows from feedback; what is served is no concern of it.
"""
