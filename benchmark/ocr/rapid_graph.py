"""PP-OCRv4's network in a form that onnxruntime runs in two thirds of the time: the same function, rounded otherwise.

As exported, each of the 28 activations (hard swish) is four operators, and stands between two pairs of a factor and
a summand of one number each: eight passes over the picture beside every convolution, two fifths of all the time. Here
an activation is two operators, which onnxruntime fuses, and factors and summands are in the weights of convolutions.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, NodeProto, helper, numpy_helper


def fused(file: Path) -> bytes:
    """The ONNX model in ``file``, rewritten and serialised. What is not written as in PP-OCRv4 stays as it is."""
    model = onnx.load(file)
    for rewrite in (_fuse_hard_swish, _fold_factors):
        graph = _Graph(model.graph)
        rewrite(graph)
        del model.graph.node[:]
        model.graph.node.extend(graph.nodes)
    serialised: bytes = model.SerializeToString()
    return serialised


class _Graph:
    """The nodes of a graph, by what they make and what they take."""

    def __init__(self, graph: GraphProto) -> None:
        self.nodes = list(graph.node)
        self.maker = {name: node for node in self.nodes for name in node.output}
        self.users: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in node.input:
                self.users[name].append(node)
        for result in graph.output:
            self.users[result.name].append(NodeProto())  # whoever runs the graph

    def array(self, name: str) -> np.ndarray | None:
        """A constant, as float64; None for what is computed."""
        node = self.maker.get(name)
        if node is None or node.op_type != "Constant":
            return None
        return numpy_helper.to_array(node.attribute[0].t).astype(np.float64)

    def with_number(self, node: NodeProto | None, operator: str) -> tuple[str, float] | None:
        """x and n where ``node`` is x ∘ n or n ∘ x with a number n; None where it is not."""
        if node is not None and node.op_type == operator:
            for name, other in zip(node.input, reversed(node.input)):
                array = self.array(name)
                if array is not None and array.size == 1:
                    return other, array.item()
        return None

    def follower(self, node: NodeProto | None) -> NodeProto | None:
        """The node that takes what ``node`` makes, if there is just one."""
        users = self.users[node.output[0]] if node is not None and node.output else []
        return users[0] if len(users) == 1 else None

    def weights(self, node: NodeProto | None) -> tuple[np.ndarray, np.ndarray] | None:
        """Weights and biases of a convolution; None for anything else, or without constants of its own for both."""
        if node is None or node.op_type != "Conv" or len(node.input) != 3:
            return None
        weights, bias = (self.array(name) for name in node.input[1:])
        if weights is None or bias is None or any(len(self.users[name]) > 1 for name in node.input[1:]):
            return None
        return weights, bias

    def set_weights(self, node: NodeProto, weights: np.ndarray, bias: np.ndarray) -> None:
        """Store new weights and biases as float32, in new constants before ``node``."""
        names = [f"{node.output[0]}.weights", f"{node.output[0]}.bias"]
        for name, array in zip(names, (weights, bias)):
            constant = helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.float32(array), name))
            self.nodes.insert(0, constant)
            self.maker[name] = constant
            self.users[name] = [node]
        del node.input[1:]
        node.input.extend(names)

    def remove(self, *nodes: NodeProto) -> None:
        self.nodes = [node for node in self.nodes if all(node is not other for other in nodes)]


def _fuse_hard_swish(graph: _Graph) -> None:
    """x · clip(x + 3, 0, 6) / 6 as x · HardSigmoid(x)."""
    for add in list(graph.nodes):
        start = graph.with_number(add, "Add")
        clip = graph.follower(add)
        product = graph.follower(clip)
        divide = graph.follower(product)
        if start is None or clip is None or product is None or divide is None:
            continue
        x, gate = start[0], add.output[0]
        if (
            start[1] == 3.0
            and clip.op_type == "Clip"
            and [graph.array(name) for name in clip.input[1:]] == [0.0, 6.0]
            and product.op_type == "Mul"
            and x in product.input
            and divide.input[0] == product.output[0]
            and graph.with_number(divide, "Div") == (product.output[0], 6.0)
        ):
            add.CopyFrom(helper.make_node("HardSigmoid", [x], [gate], alpha=1.0 / 6.0, beta=0.5))
            product.CopyFrom(helper.make_node("Mul", [x, gate], [divide.output[0]]))
            graph.remove(clip, divide)


def _fold_factors(graph: _Graph) -> None:
    """x · a + c, with numbers a and c, in the convolution that makes x, or else in the one that takes the sum.

    Where neither can have it (at a padded border the sum is 0, not c) it becomes a convolution itself, of one pixel and
    channel by channel: unlike for a product and a sum, onnxruntime need not change the layout of the picture for it.
    """
    for multiply in list(graph.nodes):
        factor, add = graph.with_number(multiply, "Mul"), graph.follower(multiply)
        summand = graph.with_number(add, "Add")
        if factor is None or add is None or summand is None:
            continue
        (x, a), c, out = factor, summand[1], add.output[0]
        before, after = graph.maker.get(x), graph.follower(add)
        own, next_own = graph.weights(before), graph.weights(after)
        if before is not None and own is not None and len(graph.users[x]) == 1:
            graph.set_weights(before, a * own[0], a * own[1] + c)
            before.output[0] = out
            graph.maker[out] = before
            graph.remove(multiply, add)
        elif after is not None and next_own is not None and not _padded(after):
            weights, bias = next_own
            graph.set_weights(after, a * weights, bias + c * weights.sum(axis=(1, 2, 3)))
            after.input[0] = x
            graph.remove(multiply, add)
        else:
            channels = _channels(graph, x)
            if channels is not None:
                multiply.CopyFrom(helper.make_node("Conv", [x], [out], group=channels, kernel_shape=[1, 1]))
                graph.set_weights(multiply, np.full((channels, 1, 1, 1), a), np.full(channels, c))
                graph.maker[out] = multiply
                graph.remove(add)


def _padded(convolution: NodeProto) -> bool:
    return any(
        attribute.name == "auto_pad" or (attribute.name == "pads" and any(attribute.ints))
        for attribute in convolution.attribute
    )


def _channels(graph: _Graph, name: str) -> int | None:
    """Of a picture that a convolution has made, alone or with an activation behind it."""
    node = graph.maker.get(name)
    if node is not None and node.op_type == "Mul":
        node = graph.maker.get(node.input[0])
    own = graph.weights(node)
    return len(own[0]) if own is not None else None
