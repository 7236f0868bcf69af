"""The commands: one module each, with flags, checks of the flags, and one call."""
