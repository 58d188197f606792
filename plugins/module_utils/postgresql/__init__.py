"""The room postgresql, on the node."""
