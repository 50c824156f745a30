"""Traces as they are: noise, kernels, uninterrupted stretches, units, dF/F."""
