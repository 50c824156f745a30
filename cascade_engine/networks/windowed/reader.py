"""Reading the weights of a model back from its ONNX files, to go on training from them."""

from __future__ import annotations

from cascade_engine.errors import MissingExtraError, ModelError
from cascade_engine.networks.store import Model
from cascade_engine.networks.windowed.weights import NetworkWeights


def read_networks(model: Model) -> dict[float, list[NetworkWeights]]:
    """Weights of all networks of a model.

    Parameters
    ----------
    model : Model
        A model in this package's form.

    Returns
    -------
    dict of float to list of NetworkWeights
        Members of the ensemble for each noise level (percent per sqrt(Hz)).

    Raises
    ------
    ModelError
        If a file is damaged or was not written by this package.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError:
        raise MissingExtraError("onnx", "import", "reading a model's weights") from None
    networks = {}
    for level in model.noise_levels:
        graph = onnx.load_model_from_string(model.read_network(f"{level:g}")).graph
        arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        members = sum(name.endswith("_kernel0") for name in arrays)
        try:
            networks[float(level)] = [
                NetworkWeights(
                    # back from ONNX's (outputs, inputs, 1, length) to (length, inputs, outputs)
                    tuple(arrays[f"network{i}_kernel{layer}"][:, :, 0].transpose(2, 1, 0) for layer in range(5)),
                    tuple(arrays[f"network{i}_bias{layer}"] for layer in range(5)),
                )
                for i in range(members)
            ]
        except KeyError:
            raise ModelError(f"the networks of {model.folder} were not written by cascade") from None
    return networks
