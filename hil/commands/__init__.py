"""The commands of lightnode-hil: arguments in, one call, what came of it out."""
