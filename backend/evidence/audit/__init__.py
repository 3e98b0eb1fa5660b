"""Whether a database still holds what was anchored: every root is computed again from its rows; what differs is named."""
