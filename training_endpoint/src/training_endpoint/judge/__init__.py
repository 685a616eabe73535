"""Is a trained classifier fit to be served, and better than the Champion? Exports it, and measures what is served.

Works on files and arrays alone: it touches no service.
"""
