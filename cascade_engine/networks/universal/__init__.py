"""One network for every frame rate, noise level, smoothing and kernel, calibrated to the neuron by its whole trace."""
