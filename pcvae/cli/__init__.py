"""The command line: the program ``pcvae``, the frame of its commands, and what they share."""
