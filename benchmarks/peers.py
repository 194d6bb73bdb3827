"""One layer as each installed peer runs it on one thread: a function that returns the result."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

NAMES = ("torch", "torch channels_last", "onnxruntime", "openvino", "ncnn")
Run = Callable[[], object]


def contestants(x: np.ndarray, w: np.ndarray, b: np.ndarray, s: int, p: int, d: int, g: int) -> dict[str, Run]:
    """What is installed and serves this layer."""
    found: dict[str, Run] = _torch(x, w, b, s, p, d, g)
    for name, make in (("onnxruntime", _onnxruntime), ("openvino", _openvino), ("ncnn", _ncnn)):
        if find_spec(name) is None or (name == "ncnn" and (x.dtype != np.float32 or x.ndim != 4 or len(x) > 1)):
            continue
        try:
            found[name] = make(x, w, b, s, p, d, g)
        except Exception as error:  # a peer may refuse a layer in any way
            print(f"{name} does not run this layer: {' '.join(str(error).split())[:100]}")
    return found


def _torch(x: np.ndarray, w: np.ndarray, b: np.ndarray, s: int, p: int, d: int, g: int) -> dict[str, Run]:
    import torch

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    conv = (torch.nn.functional.conv1d, torch.nn.functional.conv2d, torch.nn.functional.conv3d)[x.ndim - 3]
    tx, tw, tb = map(torch.from_numpy, (x, w, b))
    found: dict[str, Run] = {"torch": lambda: conv(tx, tw, tb, s, p, d, g)}
    if x.ndim == 4:
        last, weights = (t.contiguous(memory_format=torch.channels_last) for t in (tx, tw))
        found["torch channels_last"] = lambda: conv(last, weights, tb, s, p, d, g)
    return found


def _onnxruntime(x: np.ndarray, w: np.ndarray, b: np.ndarray, s: int, p: int, d: int, g: int) -> Run:
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    axes, kind = x.ndim - 2, TensorProto.FLOAT if x.dtype == np.float32 else TensorProto.DOUBLE
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], strides=[s] * axes, pads=[p] * 2 * axes, dilations=[d] * axes, group=g)
    graph = helper.make_graph(
        [node], "layer", [helper.make_tensor_value_info("x", kind, x.shape)], [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(w, "w"), numpy_helper.from_array(b, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x})[0]


def _openvino(x: np.ndarray, w: np.ndarray, b: np.ndarray, s: int, p: int, d: int, g: int) -> Run:
    import openvino
    from openvino import opset13 as ops

    axes = x.ndim - 2
    given = ops.parameter(list(x.shape), openvino.Type(x.dtype), name="x")
    geometry = [s] * axes, [p] * axes, [p] * axes, [d] * axes
    if g == 1:
        sums = ops.convolution(given, ops.constant(w), *geometry)
    else:
        sums = ops.group_convolution(given, ops.constant(w.reshape(g, -1, *w.shape[1:])), *geometry)
    y = ops.add(sums, ops.constant(b.reshape(1, -1, *[1] * axes)))
    config = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": str(openvino.Type(x.dtype).to_string()), "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.Core().compile_model(openvino.Model([y], [given]), "CPU", config).create_infer_request()
    request.set_input_tensor(openvino.Tensor(x, shared_memory=True))

    def run() -> np.ndarray:
        request.infer()
        result: np.ndarray = request.get_output_tensor().data
        return result

    return run


def _ncnn(x: np.ndarray, w: np.ndarray, b: np.ndarray, s: int, p: int, d: int, g: int) -> Run:
    import ncnn

    kind = "Convolution" if g == 1 else "ConvolutionDepthWise"
    line = f"{kind} conv 1 1 x y 0={w.shape[0]} 1={w.shape[2]} 2={d} 3={s} 4={p} 5=1 6={w.size}" + (f" 7={g}" if g > 1 else "")
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_bf16_storage = False
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "param").write_text(f"7767517\n2 2\nInput x 0 1 x\n{line}\n", encoding="ascii")
        Path(folder, "bin").write_bytes(bytes(4) + w.tobytes() + b.tobytes())
        if net.load_param(str(Path(folder, "param"))) or net.load_model(str(Path(folder, "bin"))):
            raise RuntimeError("the layer could not be loaded")
    given = ncnn.Mat(x[0])

    def run() -> object:
        extractor = net.create_extractor()
        extractor.input("x", given)
        return extractor.extract("y")[1]

    return run
