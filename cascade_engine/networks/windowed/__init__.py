"""The published architecture: one ensemble of small networks for each noise level, on windows of 64 frames."""
