"""Simultaneous recordings of calcium and spikes: reading them, and making simulated ones."""

from cascade_engine.ground_truth.catalogue import CatalogueEntry, load_catalogue
from cascade_engine.ground_truth.database import find_datasets, ground_truth_root, load_dataset
from cascade_engine.ground_truth.names import folder_name
from cascade_engine.ground_truth.records import Dataset, Neuron, Recording
from cascade_engine.ground_truth.simulation import Indicator, simulate_dataset, simulate_dff, simulate_spikes

__all__ = [
    "CatalogueEntry",
    "Dataset",
    "Indicator",
    "Neuron",
    "Recording",
    "find_datasets",
    "folder_name",
    "ground_truth_root",
    "load_catalogue",
    "load_dataset",
    "simulate_dataset",
    "simulate_dff",
    "simulate_spikes",
]
