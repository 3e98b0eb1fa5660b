"""The back end: shared customer database, market, grid validation, activation, settlement, evidence."""
