"""People in the loop: what a label is worth, what a shadow costs, which labels are wrong."""
