"""Where the figures come from; each folder is one command."""
