"""The edge agent: takes accepted set-points from the light node to the energy manager."""
