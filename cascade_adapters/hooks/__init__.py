"""Inferring spikes as a step of suite2p, CaImAn or mesmerize-core."""
