"""The examples, run as their readers run them, only shorter."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cconv

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def load(name):
    """An example as a module of its own, known to nobody else."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_lenet_reads_97_of_100_digits_that_it_was_not_shown(tmp_path, capsys):
    pytest.importorskip("sklearn", reason="scikit-learn, which has the digits, comes with the extra 'examples'")
    out = tmp_path / "lenet.png"
    accuracy = load("lenet").main(["--epochs", "10", "--out", str(out)])
    lines = capsys.readouterr().out.splitlines()
    assert accuracy >= 0.97, lines
    assert [line.split()[0] for line in lines[2:12]] == [str(epoch) for epoch in range(1, 11)]
    assert f"{accuracy:.2%}" in lines[11]
    with Image.open(out) as picture:
        assert picture.size == (1128, 526) and len(picture.getcolors(2**20)) > 100


def test_the_gradients_of_lenet_are_the_slopes_of_its_loss():
    lenet = load("lenet")
    random = np.random.default_rng(0)
    x, labels = random.random((3, 1, 28, 28)), np.array([1, 7, 7])
    net = lenet.LeNet()
    for layer in net.learned:
        layer.weight, layer.bias = layer.weight.astype(float), random.uniform(-0.1, 0.1, layer.bias.shape)
    _, g = lenet.cross_entropy(net.forward(x), labels)
    net.backward(g)
    step = 1e-6
    for parameter, gradient in zip(net.parameters(), net.gradients(), strict=True):
        way = random.standard_normal(parameter.shape)
        at = parameter.copy()
        losses = []
        for sign in (1, -1):
            parameter[...] = at + sign * step * way
            losses.append(lenet.cross_entropy(net.forward(x), labels)[0])
        parameter[...] = at
        slope = (losses[0] - losses[1]) / (2 * step)
        assert slope == pytest.approx((gradient * way).sum(), rel=1e-4, abs=1e-7), parameter.shape


def test_lenet_says_what_to_install_for_its_digits(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(SystemExit) as stop:
        load("lenet").main(["--epochs", "1"])
    assert stop.value.code == "scikit-learn has the digits, and is missing here: pip install '.[examples]'"


@pytest.mark.parametrize(
    "arguments", [["--epochs", "0"], ["--seed", "-1"], ["--out", "lenet.jpg"], ["--out", "no/such/folder.png"]]
)
def test_lenet_refuses_what_it_cannot_do_before_it_trains(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        load("lenet").main(arguments)
    assert stop.value.code == 2 and "error: " in capsys.readouterr().err


def test_resnet18_gives_the_scores_that_torch_gives(capsys):
    torch = pytest.importorskip("torch", reason="torch, to compare with, is not installed")
    threads = torch.get_num_threads()
    resnet18 = load("resnet18")
    difference = resnet18.main(["--runs", "1", "--size", "97", "--workers", str(threads + 1)])
    assert 0 < difference <= resnet18.TOLERANCE
    assert torch.get_num_threads() == threads
    text = capsys.readouterr().out
    assert text.count(" ms") == 8 and f"{difference:.1e}" in text


def test_resnet18_runs_where_torch_is_not_installed(monkeypatch, capsys):
    resnet18 = load("resnet18")
    monkeypatch.setattr(resnet18, "torch", None)
    assert resnet18.main(["--runs", "1", "--size", "64", "--workers", "2"]) is None
    text = capsys.readouterr().out
    assert text.count(" ms") == 4 and text.endswith("torch is not installed: nothing to compare with\n")


def test_resnet18_folds_a_batch_norm_into_the_convolution_before_it():
    resnet18 = load("resnet18")
    state = {name: array.astype(float) for name, array in resnet18.random_state().items()}
    x = np.random.default_rng(0).standard_normal((1, 64, 9, 9))
    y = cconv.conv2d(x, state["layer2.0.conv1.weight"], stride=2, padding=1)
    scale, shift, mean, var = (
        state[f"layer2.0.bn1.{kind}"][:, None, None] for kind in ("weight", "bias", "running_mean", "running_var")
    )
    expected = (y - mean) / np.sqrt(var + 1e-5) * scale + shift
    weight, bias = resnet18.folded(state)["layer2.0.conv1"]
    np.testing.assert_allclose(cconv.conv2d(x, weight, bias, stride=2, padding=1), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 8)])
def test_resnet18_pools_the_largest_of_each_window(size):
    x = np.random.default_rng(0).random((2, 3, *size))
    y = load("resnet18").largest_of_3x3(x)
    h, w = size
    assert y.shape == (2, 3, (h + 1) // 2, (w + 1) // 2)
    for n, c, i, j in np.ndindex(y.shape):
        assert y[n, c, i, j] == x[n, c, max(0, 2 * i - 1) : 2 * i + 2, max(0, 2 * j - 1) : 2 * j + 2].max()
