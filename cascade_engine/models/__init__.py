"""Models: their configuration, networks, cards, and where they are kept."""
