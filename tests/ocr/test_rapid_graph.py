"""PP-OCRv4's network rewritten: the same function in fewer operators."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession, SessionOptions

from benchmark.ocr.engines import _rapid_model
from benchmark.ocr.rapid_graph import fused


def run(model: bytes | str, pictures: np.ndarray) -> np.ndarray:
    options = SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = InferenceSession(model, options, providers=["CPUExecutionProvider"])
    result: np.ndarray = session.run(None, {"x": pictures})[0]
    return result


def operators(model: bytes) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_from_string(model).graph.node)


def test_the_judges_network_computes_what_it_did() -> None:
    random, model = np.random.default_rng(0), fused(_rapid_model())
    pictures = np.zeros((4, 3, 48, 320), np.float32)
    pictures[..., :168] = random.normal(0.0, 0.3, (4, 3, 48, 168))
    pictures[1:, :, 10:38, 20:150] += np.kron(random.choice([-0.5, 0.5], (3, 1, 7, 13)), np.ones((4, 10)))
    before, after = run(str(_rapid_model()), pictures), run(model, pictures)
    assert np.array_equal(after.argmax(axis=2), before.argmax(axis=2))
    assert np.abs(after - before).max() < 1e-3  # as far as onnxruntime's own optimisations move it


def test_all_activations_and_factors_of_the_judges_network_are_found() -> None:
    found = operators(fused(_rapid_model()))
    assert found["Clip"] == 0 and found["HardSigmoid"] == 28 + 2  # two are of its own
    assert found["Conv"] == 38 + 16  # before a padded border a factor and a summand stay a step of their own


def model(tmp_path: Path, steps: list[tuple[str, list[str | float], dict[str, object]]]) -> Path:
    """A network of ``steps`` from x, 2 channels, to the last one's result; operands are names, or constants."""
    random, nodes = np.random.default_rng(1), list[NodeProto]()

    def constant(array: np.ndarray) -> str:
        name = f"c{len(nodes)}"
        nodes.append(
            helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array.astype(np.float32), name))
        )
        return name

    for number, (operator, operands, attributes) in enumerate(steps):
        names = [each if isinstance(each, str) else constant(np.array(each)) for each in operands]
        if operator == "Conv":
            side = 3 if "pads" in attributes else 1
            names += [constant(random.normal(size=(2, 2, side, side))), constant(random.normal(size=2))]
        nodes.append(helper.make_node(operator, names, [f"t{number}"], **attributes))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", f"t{len(steps) - 1}")]
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=8), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


CONV = ("Conv", ["x"], {})
SWISH = [("Add", ["t0", 3.0], {}), ("Clip", ["t1", 0.0, 6.0], {}), ("Mul", ["t0", "t2"], {}), ("Div", ["t3", 6.0], {})]
NETWORKS = {
    "swish": ([CONV, *SWISH], {"Conv": 1, "HardSigmoid": 1, "Mul": 1}),
    "factors after": ([CONV, ("Mul", [1.7, "t0"], {}), ("Add", ["t1", -0.4], {})], {"Conv": 1}),
    "factors before": (
        [CONV, *SWISH, ("Mul", ["t4", 1.7], {}), ("Add", [-0.4, "t5"], {}), ("Conv", ["t6"], {})],
        {"Conv": 2, "HardSigmoid": 1, "Mul": 1},
    ),
    "factors before a border": (
        [CONV, *SWISH, ("Mul", ["t4", 1.7], {}), ("Add", ["t5", -0.4], {}), ("Conv", ["t6"], {"pads": [1, 1, 1, 1]})],
        {"Conv": 3, "HardSigmoid": 1, "Mul": 1},
    ),
    "another use": (
        [CONV, ("Mul", ["t0", 1.7], {}), ("Add", ["t1", -0.4], {}), ("Mul", ["t0", "t2"], {})],
        {"Conv": 2, "Mul": 1},
    ),
    "no convolution": ([("Mul", ["x", 1.7], {}), ("Add", ["t0", -0.4], {})], {"Mul": 1, "Add": 1}),
    "another clip": (
        [CONV, ("Add", ["t0", 3.0], {}), ("Clip", ["t1", 0.0, 5.0], {}), ("Mul", ["t0", "t2"], {}), SWISH[3]],
        {"Conv": 1, "Add": 1, "Clip": 1, "Mul": 1, "Div": 1},
    ),
    "another dividend": (
        [CONV, *SWISH[:3], ("Div", [6.0, "t3"], {})],
        {"Conv": 1, "Add": 1, "Clip": 1, "Mul": 1, "Div": 1},
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_rewritten_network_is_the_same_function(name: str, tmp_path: Path) -> None:
    steps, expected = NETWORKS[name]
    file = model(tmp_path, steps)
    pictures = np.random.default_rng(2).normal(0.0, 3.0, (2, 2, 6, 7)).astype(np.float32)
    assert run(fused(file), pictures) == pytest.approx(run(str(file), pictures), rel=1e-4, abs=1e-4)
    found = operators(fused(file))
    assert {operator: count for operator, count in found.items() if operator != "Constant"} == expected
