"""The HTTP side: takes requests, writes them down, reads back what came of them. Trains nothing."""
