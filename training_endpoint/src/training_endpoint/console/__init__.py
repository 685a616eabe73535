"""One page for people on what is served, learned, asked and kept. Reads the other rooms, changes nothing."""
