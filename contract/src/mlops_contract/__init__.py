"""What the services share: words, settings, errors, and the store of model files. Touches no database.

The standard library is all that it needs, but for `web` (Flask) and `store` (requests).
"""
