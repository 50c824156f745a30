"""Spike inference inside calcium-imaging containers: read, compute dF/F, predict, write back, undo."""
