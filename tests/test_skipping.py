"""A test whose library is not installed is skipped, and says which; every other failure stays one."""

from __future__ import annotations

import pytest

from cascade_engine.errors import InputError, MissingExtraError
from tests import conftest


@pytest.fixture(autouse=True)
def absent(monkeypatch):
    monkeypatch.setattr(conftest, "ABSENT", {"onnx"})


def failure(name: str, outer: Exception | None = None) -> Exception:
    """The error of an import that fails, or one that is raised in its place."""
    try:
        try:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        except ModuleNotFoundError:
            if outer is not None:
                raise outer from None
            raise
    except Exception as error:
        return error


@pytest.mark.parametrize("error", [failure("onnx"), failure("onnx.helper"), failure("onnx", InputError("no model"))])
def test_skipped(error):
    with pytest.raises(pytest.skip.Exception, match="onnx is not installed"):
        conftest.skip_without_library(error)


@pytest.mark.parametrize(
    "error",
    [
        failure("onnxruntime"),
        failure("cascade_engine.signal"),
        InputError("onnx"),
        MissingExtraError("onnx", "import", "writing a model"),  # a test that acts as if it were not installed
    ],
)
def test_not_skipped(error):
    conftest.skip_without_library(error)
