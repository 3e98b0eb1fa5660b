"""The outside world; each module implements one port, none holds a rule."""
