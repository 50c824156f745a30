"""Pictures of recordings and results; needs the extra ``plot``.

Every function draws into the axes that it is given, or into a new figure, and returns the axes (`plot_traces` the
figure). dF/F is blue, what was inferred is black, and true spikes are orange.
"""

from cascade_engine.plotting.matched import plot_noise_matched
from cascade_engine.plotting.noise import plot_noise_levels
from cascade_engine.plotting.performance import plot_performance
from cascade_engine.plotting.population import plot_raster
from cascade_engine.plotting.single_spikes import plot_single_spikes
from cascade_engine.plotting.traces import plot_neuron, plot_traces

__all__ = [
    "plot_neuron",
    "plot_noise_levels",
    "plot_noise_matched",
    "plot_performance",
    "plot_raster",
    "plot_single_spikes",
    "plot_traces",
]
