"""The same numbers as the peers that are installed: torch (forward, transposed, gradients), and ONNX's rule of padding."""

import math

import numpy as np
import pytest
from samples import SEED

import cconv

torch = pytest.importorskip("torch", reason="torch, to compare with, is not installed")

LAYERS = 1000
MODES = {"zeros": "zeros", "reflect": "reflect", "edge": "replicate", "replicate": "replicate", "wrap": "circular", "circular": "circular"}


def layer(rng):
    """A random layer; sizes that torch refuses are not drawn."""
    axes, groups = int(rng.integers(1, 4)), int(rng.choice([1, 1, 2, 3]))
    channels, outputs = groups * int(rng.choice([1, 2, 5, 17])), groups * int(rng.choice([1, 3, 8, 18]))
    taps, stride, dilation = (tuple(int(v) for v in rng.integers(1, 4, axes)) for _ in range(3))
    padding = tuple(int(v) for v in rng.integers(0, 4, axes))
    sizes = tuple(max(int(rng.integers(1, 14 if axes < 3 else 8)), d * (k - 1) + 1 - 2 * p) for d, k, p in zip(dilation, taps, padding))
    x = rng.standard_normal((int(rng.integers(1, 4)), channels, *sizes))
    return axes, groups, x, rng.standard_normal((outputs, channels // groups, *taps)), rng.standard_normal(outputs), stride, padding, dilation


def close(mine, theirs):
    theirs = theirs.detach().numpy()
    assert mine.shape == theirs.shape
    return float(np.abs(mine - theirs).max(initial=0) / max(1e-300, np.abs(theirs).max(initial=0)))


def test_torch():
    rng, worst = np.random.default_rng(SEED), {"forward": 0.0, "input": 0.0, "weight": 0.0, "bias": 0.0, "transposed": 0.0}
    for case in range(LAYERS):
        axes, groups, x, w, b, stride, padding, dilation = layer(rng)
        X, W, B = (torch.tensor(a, requires_grad=True) for a in (x, w, b))
        Y = getattr(torch.nn.functional, f"conv{axes}d")(X, W, B, stride, padding, dilation, groups)
        errors = {"forward": close(getattr(cconv, f"conv{axes}d")(x, w, b, stride, padding, dilation, groups), Y)}
        g = rng.standard_normal(tuple(Y.shape))
        Y.backward(torch.tensor(g))
        errors["input"] = close(cconv.conv_input(x.shape, w, g, stride, padding, dilation, groups), X.grad)
        errors["weight"] = close(cconv.conv_weight(x, w.shape, g, stride, padding, dilation, groups), W.grad)
        errors["bias"] = close(cconv.conv_bias(g), B.grad)
        extra = tuple(int(rng.integers(0, max(s, d))) for s, d in zip(stride, dilation))
        back = getattr(cconv, f"conv_transpose{axes}d"), getattr(torch.nn.functional, f"conv_transpose{axes}d")
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in zip(g.shape[2:], stride, padding, dilation, w.shape[2:])]
        if min(least) >= 1:     # where the convolution's input was all padding, nothing may be left of it
            theirs = back[1](torch.tensor(g), W, None, stride, padding, extra, groups, dilation)
            errors["transposed"] = close(back[0](g, w, None, stride, padding, extra, groups, dilation), theirs)
        for name, error in errors.items():
            worst[name] = max(worst[name], error)
            assert error <= 1e-12, (SEED, case, name, error)
    print(f"{LAYERS} layers, seed {SEED}, worst relative differences: " + ", ".join(f"{k} {v:.1e}" for k, v in worst.items()))


@pytest.mark.filterwarnings("ignore:Using padding=.same.")
def test_torch_modules():
    """padding_mode and the words 'same' and 'valid', which only modules know."""
    rng, count, worst = np.random.default_rng(SEED + 1), 0, 0.0
    for mode, theirs in MODES.items():
        for word in (0, 1, 2, "same", "valid"):
            for axes in (1, 2, 3):
                dilation, taps = int(rng.integers(1, 3)), int(rng.integers(2, 5))
                sizes = tuple(int(v) for v in rng.integers(7, 12, axes))
                module = getattr(torch.nn, f"Conv{axes}d")(4, 6, taps, 1, word, dilation, 2, padding_mode=theirs, dtype=torch.float64)
                x = rng.standard_normal((2, 4, *sizes))
                X = torch.tensor(x, requires_grad=True)
                Y = module(X)
                options = dict(padding=word, dilation=dilation, groups=2, padding_mode=mode)
                w, b = module.weight.detach().numpy(), module.bias.detach().numpy()
                mine = cconv.Conv(w, b, **options)(x)
                g = rng.standard_normal(mine.shape)
                Y.backward(torch.tensor(g))
                worst = max(worst, close(mine, Y), close(cconv.conv_input(x.shape, w, g, **options), X.grad),
                            close(cconv.conv_weight(x, w.shape, g, **options), module.weight.grad))
                count += 1
    print(f"{count} modules, worst relative difference {worst:.1e}")
    assert worst <= 1e-12


def test_onnx_rule():
    """'same_upper' and 'same_lower' against ONNX's own arithmetic, by its reference implementation where that is installed."""
    count = 0
    try:
        import onnx
        from onnx.reference import ReferenceEvaluator
    except ImportError:
        onnx = None
    rng = np.random.default_rng(SEED + 2)
    for n, k, s, d in ((n, k, s, d) for n in (5, 6, 11) for k in (1, 2, 3, 4) for s in (1, 2, 3) for d in (1, 2)):
        total = max(0, (math.ceil(n / s) - 1) * s + d * (k - 1) + 1 - n)
        x, w = rng.standard_normal((1, 2, n, n + 1)), rng.standard_normal((3, 2, k, k))
        for word, before in (("same_upper", total // 2), ("same_lower", total - total // 2)):
            y = cconv.conv2d(x, w, stride=s, dilation=d, padding=word)
            assert y.shape[2] == math.ceil(n / s)
            assert cconv.explain(x, w, stride=s, dilation=d, padding=word).padding[0] == (before, total - before)
            if onnx is not None and d == 1:     # with a dilation the reference implementation forgets it
                helper = onnx.helper
                node = helper.make_node("Conv", ["x", "w"], ["y"], auto_pad=word.upper(), strides=[s, s], dilations=[d, d], kernel_shape=[k, k])
                values = [helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, None) for name in "xwy"]
                graph = helper.make_graph([node], "g", values[:2], values[2:])
                want = ReferenceEvaluator(helper.make_model(graph)).run(None, {"x": x, "w": w})[0]
                np.testing.assert_allclose(y, want, rtol=1e-12, atol=1e-12)
            count += 1
    print(f"{count} layers, {'with' if onnx else 'without'} onnx")
