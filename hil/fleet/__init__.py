"""Many light nodes in few processes, for load on a back end: the firmware's own modules, with fast keys and a meter in memory."""
