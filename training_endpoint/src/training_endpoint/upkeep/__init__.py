"""What grows, and what is removed of it by number or age: files that no decision names, old runs, old folders.

The only room that deletes; docs/growth.md has the table.
"""
