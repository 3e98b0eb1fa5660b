"""A planner's grid file in pandapower's format, read as data: no code of the file or of pandapower runs."""
