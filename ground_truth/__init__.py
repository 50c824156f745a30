"""Catalogue of the public ground truth (``registry.yaml``); the recordings themselves are downloaded."""
