"""The example day: a published grid, published profiles, invented customers; see README.md."""
