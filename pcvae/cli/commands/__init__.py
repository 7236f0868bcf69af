"""The commands: one module each, with flags, checks of the flags, and one call.

This folder is the list of commands: the program ``pcvae`` and the console scripts follow from it.
"""
