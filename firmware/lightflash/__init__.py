"""From sources to a device in service, on the technician's computer: the one package under firmware/ that no board runs."""
