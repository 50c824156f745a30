"""The example: a simulated recording, spikes inferred in it as in any other, and a comparison with its true spikes."""

from cascade_adapters.demo.example import Example, run_example
from cascade_adapters.demo.recording import write_recording

__all__ = ["Example", "run_example", "write_recording"]
