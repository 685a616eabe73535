"""One page for people on what is served, learned, asked and kept, and one on which they label.

It reads the other rooms; what people decide or label there, logged in, it hands to them.
"""
