"""How good a model is on ground truth that it was not trained on."""

from cascade_engine.evaluation.conditions import Condition, TestTrace, make_trace
from cascade_engine.evaluation.expectation import card_entries, expected_figures
from cascade_engine.evaluation.scores import NeuronScore, evaluate, read_scores, summarize, write_scores

__all__ = [
    "Condition",
    "NeuronScore",
    "TestTrace",
    "card_entries",
    "evaluate",
    "expected_figures",
    "make_trace",
    "read_scores",
    "summarize",
    "write_scores",
]
