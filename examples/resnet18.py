"""ResNet-18 through cconv, and through torch where that is installed: compared, and timed.

    python examples/resnet18.py [--runs N] [--workers N] [--size N]

The net is torchvision's resnet18 and its parameters go by torchvision's names, so a trained net runs too: give `folded`
{name: tensor.numpy() for name, tensor in model.state_dict().items()}.  Here it is random: He's weights, and batch norms
with means and variances of their own, each of them folded into the weights and the bias of the convolution before it.

cconv keeps its weights packed from the first call on (`cconv.Conv`).  torch computes eagerly, as most call it: it is
given the same folded weights in each call.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import cconv

try:
    import torch
except ImportError:
    torch = None

# By this share of the largest score the two may differ.  float32 has eps = 1.2e-7; in long sums most of the rounding cancels,
# but Winograd's tiles cost a few eps, and each of 20 layers adds its own to what it was handed: 20 x 4 eps.  Measured: 7e-7
# at most.  One tap of the first layer that is wrong by 1 % makes 6e-5.
TOLERANCE = 1e-5

# name, input channels, output channels
BLOCKS = [("layer1.0", 64, 64), ("layer1.1", 64, 64), ("layer2.0", 64, 128), ("layer2.1", 128, 128),
          ("layer3.0", 128, 256), ("layer3.1", 256, 256), ("layer4.0", 256, 512), ("layer4.1", 512, 512)]


def convolutions() -> Iterator[tuple[str, str, int, int, int, int, bool]]:
    """Of each: name, name of its batch norm, input channels, output channels, kernel size, stride, whether a ReLU is next."""
    yield "conv1", "bn1", 3, 64, 7, 2, True
    for block, channels, outputs in BLOCKS:
        stride = outputs // channels        # half as many pixels each way where there are twice as many channels
        yield f"{block}.conv1", f"{block}.bn1", channels, outputs, 3, stride, True
        yield f"{block}.conv2", f"{block}.bn2", outputs, outputs, 3, 1, False      # its ReLU comes after the addition
        if stride > 1:
            yield f"{block}.downsample.0", f"{block}.downsample.1", channels, outputs, 1, stride, False


def random_state(seed: int = 0) -> dict[str, np.ndarray]:
    """The parameters of a net that has learned nothing."""
    random, state = np.random.default_rng(seed), {}
    for name, norm, channels, outputs, size, _, _ in convolutions():
        # He, Zhang, Ren, Sun (2015): so large that a ReLU's results vary as much as its inputs.
        scale = np.float32(np.sqrt(2 / (channels * size * size)))
        state[f"{name}.weight"] = scale * random.standard_normal((outputs, channels, size, size), np.float32)
        for kind, low, high in (("weight", 0.5, 1), ("bias", -0.2, 0.2), ("running_mean", -0.2, 0.2), ("running_var", 0.5, 2)):
            state[f"{norm}.{kind}"] = random.uniform(low, high, outputs).astype(np.float32)
    state["fc.weight"] = np.float32(np.sqrt(1 / 512)) * random.standard_normal((1000, 512), np.float32)
    state["fc.bias"] = random.uniform(-0.2, 0.2, 1000).astype(np.float32)
    return state


def folded(state: dict[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Weight and bias of each layer.  (conv(x) - mean) / deviation * scale + shift is a convolution too."""
    layers = {"fc": (state["fc.weight"], state["fc.bias"])}
    for name, norm, *_ in convolutions():
        scale = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + np.float32(1e-5))
        weight = state[f"{name}.weight"] * scale[:, None, None, None]
        layers[name] = weight, state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
    return layers


def cconv_net(layers: dict[str, tuple[np.ndarray, np.ndarray]]) -> Callable[..., np.ndarray]:
    """Pictures (N, 3, H, W) to scores (N, 1000), with cconv and NumPy."""
    conv = {
        name: cconv.Conv(*layers[name], stride, size // 2, activation="relu" if relu else None)
        for name, _, _, _, size, stride, relu in convolutions()
    }
    # A fully connected layer is a convolution of a single pixel.  (As a product of matrices it would wake the threads that NumPy's BLAS
    # has of its own, which then wait on the cores for some milliseconds.)
    weight, bias = layers["fc"]
    classes = cconv.Conv(weight[:, :, None, None], bias)

    def net(x: np.ndarray, workers: int | None = None) -> np.ndarray:
        x = largest_of_3x3(conv["conv1"](x, workers=workers))
        for block, channels, outputs in BLOCKS:
            y = conv[f"{block}.conv1"](x, workers=workers)
            y = conv[f"{block}.conv2"](y, workers=workers)
            y += x if channels == outputs else conv[f"{block}.downsample.0"](x, workers=workers)
            x = np.maximum(y, 0, out=y)
        return classes(x.mean((2, 3), keepdims=True), workers=workers)[:, :, 0, 0]

    return net


def largest_of_3x3(x: np.ndarray) -> np.ndarray:
    """Max pooling with stride 2 and padding 1: of three rows, then of three columns."""
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))         # after a ReLU nothing is less than 0
    rows = np.maximum(np.maximum(x[:, :, :-2:2], x[:, :, 1:-1:2]), x[:, :, 2::2])
    return np.maximum(np.maximum(rows[..., :-2:2], rows[..., 1:-1:2]), rows[..., 2::2])


def torch_net(layers: dict[str, tuple[np.ndarray, np.ndarray]]) -> Callable[[Any], Any]:
    """The same with torch."""
    F = torch.nn.functional
    tensors = {name: [torch.from_numpy(a) for a in pair] for name, pair in layers.items()}
    shapes = {name: (stride, size // 2) for name, _, _, _, size, stride, _ in convolutions()}

    def conv(x: Any, name: str) -> Any:
        return F.conv2d(x, *tensors[name], *shapes[name])

    @torch.inference_mode()
    def net(x: Any) -> Any:
        x = F.max_pool2d(F.relu_(conv(x, "conv1")), 3, 2, 1)
        for block, channels, outputs in BLOCKS:
            y = conv(F.relu_(conv(x, f"{block}.conv1")), f"{block}.conv2")
            y += x if channels == outputs else conv(x, f"{block}.downsample.0")
            x = F.relu_(y)
        return F.linear(x.mean((2, 3)), *tensors["fc"])

    return net


def times(net: Callable[[int], object], threads: int, runs: int) -> list[float]:
    """Seconds of each run, after one that warms up."""
    net(threads)
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        net(threads)
        seconds.append(time.perf_counter() - start)
    return seconds


def main(arguments: list[str] | None = None) -> float | None:
    """Compare, time, print; return by how much the scores differ from torch's, as a share of the largest."""
    parser = argparse.ArgumentParser(description="Run and time ResNet-18 with cconv, and with torch where it is installed.")
    parser.add_argument("--runs", type=int, default=20, metavar="N", help="timed runs of each (20)")
    parser.add_argument("--workers", type=int, default=cconv.get_workers(), metavar="N", help="threads, besides one (all cores)")
    parser.add_argument("--size", type=int, default=224, metavar="N", help="height and width of the picture (224)")
    options = parser.parse_args(arguments)
    if min(vars(options).values()) < 1:
        parser.error("want --runs, --workers and --size of at least 1")

    layers = folded(random_state())
    x = np.random.default_rng(1).standard_normal((1, 3, options.size, options.size), np.float32)
    ours = cconv_net(layers)
    nets: dict[str, Callable[[int], object]] = {f"cconv {cconv.__version__}": lambda threads: ours(x, threads)}
    difference = None
    if torch:
        theirs, before = torch_net(layers), torch.get_num_threads()
        nets[f"torch {torch.__version__.partition('+')[0]}"] = lambda threads: theirs(torch.from_numpy(x))
        scores = theirs(torch.from_numpy(x)).numpy()
        difference = float(abs(ours(x) - scores).max() / abs(scores).max())

    count = sum(a.size for pair in layers.values() for a in pair) / 1e6
    size, runs = f"{options.size} x {options.size}", f"{options.runs} run" + "s" * (options.runs > 1)
    print(f"ResNet-18: {count:.1f} million weights, one picture of {size}, float32, {runs} of each\n")
    print(f"{'threads':9}{'':14}{'minimum':>9}{'median':>12}")
    for threads in sorted({1, options.workers}):
        if torch:
            torch.set_num_threads(threads)
        for name, net in nets.items():      # not in turns, in which the threads of one would be in the way of the other's
            seconds = times(net, threads, options.runs)
            print(f"{threads:7}  {name:14}{1e3 * min(seconds):6.1f} ms{1e3 * statistics.median(seconds):9.1f} ms", flush=True)
    if difference is None:
        print("\ntorch is not installed: nothing to compare with")
        return None
    torch.set_num_threads(before)
    print(f"\nThe scores differ by at most {difference:.1e} of the largest; up to {TOLERANCE:.0e} is rounding")
    if not difference <= TOLERANCE:
        sys.exit("and this is more")
    return difference


if __name__ == "__main__":
    main()
