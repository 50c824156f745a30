"""One small network that learned from the predictions of an ensemble: many times faster, nearly as good."""
