"""Traces before any network: noise levels, smoothing kernels, segments, units, dF/F."""
