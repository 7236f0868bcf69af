"""Noise, the latent Gaussian and the mass functions over pixel levels."""
