"""What a run leaves in a container: arrays, discrete spikes, and the record of how they came about."""

from cascade_adapters.results.record import Record
from cascade_adapters.results.results import Results
from cascade_adapters.results.schema import ResultArray
from cascade_adapters.results.spikes import Spikes

__all__ = ["Record", "ResultArray", "Results", "Spikes"]
