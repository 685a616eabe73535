"""What people are to label next, and what becomes of their labels.

It reads the log of predictions, keeps a queue beside it, and writes rows of classifiers' tables; what is served is no
concern of it.
"""
