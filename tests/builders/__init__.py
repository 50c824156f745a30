"""Builders of models and files that tests and benchmarks use."""
