"""The rig: emulated meters and plants, the conductor of virtual time, real brokers, chains and nodes, the demo day."""
