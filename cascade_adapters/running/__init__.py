"""The main job on one recording or many, and what is said about it."""
