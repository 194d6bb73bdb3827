"""LeNet-5 learns to read digits with cconv and NumPy alone.

    python examples/lenet.py [--epochs N] [--seed S] [--out lenet.png]

The digits are the 1797 that scikit-learn ships, 8 x 8 pixels each, enlarged here to the 28 x 28 for which the net was
made (LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, 1998).  One in five is
held out: the same 360 always, never learned from.  As is usual today, ReLU stands for tanh, the maximum for the mean
in the pooling, and each filter of the second layer sees all six maps of the first.

Everything is here: the layers, each with its gradient; the loss; Adam; the loop; a picture of what was learned.
Sizes: N batch, C input channels, O output channels, H W a layer's input.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import cconv

BATCH, RATE = 32, 0.002
INK, FAINT, FRAME = (33, 37, 41), (134, 142, 150), (206, 212, 218)
ORANGE, BLUE = (232, 89, 12), (76, 110, 245)


class Convolution:
    """A convolution and its ReLU: x (N, C, H, W) to y (N, O, H', W')."""

    def __init__(self, random: np.random.Generator, channels: int, outputs: int, size: int, padding: int = 0):
        self.weight = he(random, (outputs, channels, size, size))
        self.bias = np.zeros(outputs, np.float32)
        self.padding = padding

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.x = x
        self.y = cconv.conv2d(x, self.weight, self.bias, padding=self.padding, activation="relu")
        return self.y

    def backward(self, g: np.ndarray) -> np.ndarray:
        """From the loss's gradient with respect to y: those of weight and bias, kept; that of x, returned."""
        g = g * (self.y > 0)
        self.gradients = cconv.conv_weight(self.x, self.weight.shape, g, padding=self.padding), cconv.conv_bias(g)
        return cconv.conv_input(self.x.shape, self.weight, g, padding=self.padding)


class Pooling:
    """The largest of every 2 x 2 pixels: x (N, C, H, W) to y (N, C, H/2, W/2)."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.x = x
        self.rows = np.maximum(x[:, :, ::2], x[:, :, 1::2])
        return np.maximum(self.rows[..., ::2], self.rows[..., 1::2])

    def backward(self, g: np.ndarray) -> np.ndarray:
        """The gradient is that of the largest alone; of equals, as on empty paper, the first stands for all."""
        left, upper = self.rows[..., ::2] >= self.rows[..., 1::2], self.x[:, :, ::2] >= self.x[:, :, 1::2]
        rows, x = np.empty_like(self.rows), np.empty_like(self.x)
        rows[..., ::2], rows[..., 1::2] = g * left, g * ~left
        x[:, :, ::2], x[:, :, 1::2] = rows * upper, rows * ~upper
        return x


class Dense:
    """Every input to every output: x (N, C, ...) to y (N, O), with a ReLU unless it is the last layer."""

    def __init__(self, random: np.random.Generator, channels: int, outputs: int, relu: bool = True):
        self.weight, self.bias, self.relu = he(random, (outputs, channels)), np.zeros(outputs, np.float32), relu

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.shape, self.x = x.shape, x.reshape(len(x), -1)
        y = self.x @ self.weight.T + self.bias
        self.y = np.maximum(y, 0) if self.relu else y
        return self.y

    def backward(self, g: np.ndarray) -> np.ndarray:
        if self.relu:
            g = g * (self.y > 0)
        self.gradients = g.T @ self.x, g.sum(0)
        return (g @ self.weight).reshape(self.shape)


class LeNet:
    """Seven layers, 61,706 numbers to learn; x (N, 1, 28, 28) to scores (N, 10)."""

    def __init__(self, seed: int = 0):
        random = np.random.default_rng(seed)
        self.layers = [
            Convolution(random, 1, 6, 5, padding=2), Pooling(),     # 28 x 28, 14 x 14
            Convolution(random, 6, 16, 5), Pooling(),               # 10 x 10, 5 x 5
            Convolution(random, 16, 120, 5),                        # 1 x 1
            Dense(random, 120, 84), Dense(random, 84, 10, relu=False),
        ]
        # As large as the others, the first layer's random start would outlast the learning, and blur its picture.
        self.layers[0].weight *= 0.1
        self.learned = [layer for layer in self.layers if not isinstance(layer, Pooling)]

    def forward(self, x: np.ndarray) -> np.ndarray:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, g: np.ndarray) -> None:
        for layer in reversed(self.layers):
            g = layer.backward(g)

    def parameters(self) -> list[np.ndarray]:
        return [p for layer in self.learned for p in (layer.weight, layer.bias)]

    def gradients(self) -> list[np.ndarray]:
        return [g for layer in self.learned for g in layer.gradients]


class Adam:
    """Steps as long as the gradient's mean over its root mean square (Kingma, Ba, 2015)."""

    def __init__(self, parameters: list[np.ndarray]):
        self.parameters, self.steps = parameters, 0
        self.means, self.squares = [[np.zeros_like(p) for p in parameters] for _ in range(2)]

    def step(self, gradients: list[np.ndarray], rate: float) -> None:
        self.steps += 1
        for p, g, mean, square in zip(self.parameters, gradients, self.means, self.squares, strict=True):
            mean += 0.1 * (g - mean)
            square += 0.001 * (g * g - square)
            # Both began at 0: divided by how much of the past they have seen, they are no longer too small.
            p -= rate * (mean / (1 - 0.9**self.steps)) / (np.sqrt(square / (1 - 0.999**self.steps)) + 1e-8)


def he(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Weights with which a ReLU's results vary as much as its inputs (He, Zhang, Ren, Sun, 2015)."""
    return (random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)


def cross_entropy(scores: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean of -log(probability of the right digit), and its gradient with respect to the scores (N, 10)."""
    p, right = softmax(scores), (np.arange(len(labels)), labels)
    loss = float(-np.log(p[right]).mean())
    p[right] -= 1
    return loss, p / len(labels)


def softmax(scores: np.ndarray) -> np.ndarray:
    e = np.exp(scores - scores.max(1, keepdims=True))       # so that no power overflows
    return e / e.sum(1, keepdims=True)


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Pictures (1797, 1, 28, 28) from 0 to 1, and labels (1797,), shuffled."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        sys.exit("scikit-learn has the digits, and is missing here: pip install '.[examples]'")
    small, labels = load_digits(return_X_y=True)
    small = (small.reshape(-1, 8, 8) / 16).astype(np.float32)
    # To 24 x 24, and two pixels of paper around, so that there is room to shift.
    large = [np.asarray(Image.fromarray(s).resize((24, 24), Image.Resampling.BICUBIC)).clip(0, 1) for s in small]
    order = np.random.default_rng(0).permutation(len(labels))
    return cconv.pad(np.array(large), ((0, 0), (2, 2), (2, 2)))[order, None], labels[order]


def accuracy(net: LeNet, x: np.ndarray, labels: np.ndarray) -> float:
    return float((net.forward(x).argmax(1) == labels).mean())


def draw(net: LeNet, digit: np.ndarray, title: str) -> Image.Image:
    """The first layer's kernels, and what the net sees in one digit (28, 28)."""
    probabilities = softmax(net.forward(digit[None, None]))[0]
    kernels, first, second = net.layers[0].weight[:, 0], net.layers[0].y[0], net.layers[2].y[0]
    left, right, wide = 24, 204, 152        # of the two columns, and of a tile
    sheet = Image.new("RGB", (1128, 526), "white")
    pen = ImageDraw.Draw(sheet)
    tiny, small, large = (ImageFont.load_default(size) for size in (12, 15, 21))

    def paint(values: np.ndarray, x: int, y: int, size: int, positive: tuple[int, int, int] = INK) -> None:
        """Values (H, W) as a square: the further from 0, the further from white, and blue below it."""
        colours = np.where(values[..., None] < 0, BLUE, positive)
        pixels = 255 - (255 - colours) * abs(values[..., None]) / max(abs(values).max(), 1e-6)
        picture = Image.fromarray(pixels.round().astype(np.uint8))
        sheet.paste(picture.resize((size, size), Image.Resampling.NEAREST), (x, y))
        pen.rectangle((x - 1, y - 1, x + size, y + size), None, FRAME)

    pen.text((left, 32), title, INK, large, "lm")
    for x, y, text in [
        (left, 76, "A held-out digit"), (right, 76, "The 6 kernels of the first layer, 5 x 5: orange adds, blue subtracts"),
        (left, 254, "Read as"), (right, 254, "What each makes of the digit, 28 x 28, after the ReLU"),
        (left, 432, "What the second layer makes of those six, with 16 filters, 10 x 10"),
    ]:
        pen.text((x, y), text, INK, small, "lm")
    paint(digit, left, 90, 140)
    for i in range(6):
        paint(kernels[i], right + wide * i, 90, 140, ORANGE)
        paint(first[i], right + wide * i, 268, 140)
    for i in range(16):
        paint(second[i], left + 1024 * i // 15, 446, 56)
    for i, p in enumerate(probabilities):
        y, likely = 275 + 14 * i, p == probabilities.max()
        pen.text((left + 4, y), str(i), INK, tiny, "mm")
        pen.rectangle((left + 14, y - 4, left + 14 + 86 * p, y + 4), ORANGE if likely else FRAME)
        pen.text((left + 140, y), f"{p:.0%}", INK if likely else FAINT, tiny, "rm")
    return sheet


def main(arguments: list[str] | None = None) -> float:
    """Train, say how it goes, write the picture, and return the share of held-out digits read right."""
    parser = argparse.ArgumentParser(description="Train LeNet-5 on scikit-learn's digits, with cconv and NumPy.")
    parser.add_argument("--epochs", type=int, default=20, metavar="N", help="times every digit is seen (20)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the first weights, the order and the shifts (0)")
    parser.add_argument("--out", type=Path, default=Path("lenet.png"), metavar="FILE", help="the picture (lenet.png)")
    options = parser.parse_args(arguments)
    if options.epochs < 1 or options.seed < 0:
        parser.error("want --epochs of at least 1 and --seed of at least 0")
    if options.out.suffix.lower() != ".png" or not options.out.parent.is_dir():
        parser.error(f"--out is {options.out}; want a file that ends in .png, in a folder that exists")

    x, labels = digits()
    held = len(x) // 5 + 1
    test_x, test_labels, x, labels = x[:held], labels[:held], x[held:], labels[held:]
    print(f"{len(x)} digits to learn from, {held} held out")
    net, random = LeNet(options.seed), np.random.default_rng(options.seed)
    adam, start = Adam(net.parameters()), time.perf_counter()
    steps = options.epochs * -(-len(x) // BATCH)
    print("epoch    loss  held-out  seconds")
    for epoch in range(1, options.epochs + 1):
        order, losses = random.permutation(len(x)), []
        for first in range(0, len(x), BATCH):
            some = order[first : first + BATCH]
            # Each time a little elsewhere: more to learn from.  Only empty paper leaves on one side and enters on the other.
            shifted = np.roll(x[some], random.integers(-2, 3, 2), (2, 3))
            loss, g = cross_entropy(net.forward(shifted), labels[some])
            net.backward(g)
            adam.step(net.gradients(), RATE * (1 - adam.steps / steps))     # ever smaller steps, down to none
            losses.append(loss)
        right = accuracy(net, test_x, test_labels)
        print(f"{epoch:5}  {np.mean(losses):6.4f}  {right:8.2%}  {time.perf_counter() - start:7.1f}", flush=True)
    draw(net, test_x[0, 0], f"LeNet-5 reads {right:.1%} of {held} held-out digits").save(options.out)
    print(f"{options.out} shows what it learned")
    return right


if __name__ == "__main__":
    main()
