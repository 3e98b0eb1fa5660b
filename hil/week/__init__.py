"""A simulated week of one light node through every fault of the rig, and the account of it from the outside."""
