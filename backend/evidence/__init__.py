"""Rules of proof: nothing here trusts a source."""
