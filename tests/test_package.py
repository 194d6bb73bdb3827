"""What is installed: names, stubs, size, import, the bare sources."""

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cconv
from cconv import engine, loop

PACKAGE = Path(cconv.__file__).parent


def test_every_public_name_is_there_and_no_other_is_promised():
    for name in cconv.__all__:
        assert getattr(cconv, name) is not None
    promised = {
        "conv1d", "conv2d", "conv3d", "output_shape", "correlate", "convolve", "pad", "explain", "kernels", "read_picture",
        "write_picture", "sample_picture", "get_workers", "set_workers", "Conv", "conv_transpose1d", "conv_transpose2d",
        "conv_transpose3d", "conv_input", "conv_weight", "conv_bias", "get_include", "get_sources",
    }
    assert set(cconv.__all__) == promised


def test_named_kernels_are_float64_and_belong_to_their_names():
    for name, function in cconv.kernels.NAMED.items():
        assert function.__name__ == name and getattr(cconv.kernels, name) is function
        kernel = function()
        assert kernel.dtype == np.float64 and kernel.ndim == 2
        total = {"prewitt": 0, "sobel": 0, "scharr": 0, "roberts": 0, "laplacian": 0, "log": 0}.get(name, 1)
        assert abs(kernel.sum() - total) < 1e-12, name


@pytest.mark.parametrize("module", [loop, engine])
def test_the_stubs_of_the_compiled_modules_agree_with_them(module):
    stub = ast.parse((PACKAGE / f"{module.__name__.rpartition('.')[2]}.pyi").read_text(encoding="utf-8"))
    functions = {node.name: [a.arg for a in node.args.args] for node in stub.body if isinstance(node, ast.FunctionDef)}
    names = {node.target.id for node in stub.body if isinstance(node, ast.AnnAssign)} | set(functions)
    names |= {node.name for node in stub.body if isinstance(node, ast.ClassDef)}
    names = {n for n in names if not n.startswith("_")}
    there = {n for n in vars(module) if not n.startswith("_") and n != "np"}
    assert names == there
    for name, arguments in functions.items():
        assert list(inspect.signature(getattr(module, name)).parameters) == arguments
    assert (PACKAGE / "py.typed").exists()


def test_type_checkers_accept_users_and_the_stubs(tmp_path):
    pytest.importorskip("mypy", reason="mypy comes with the extra 'test'")
    (tmp_path / "user.py").write_text(
        "import numpy as np\nimport cconv\n"
        "y: np.ndarray = cconv.conv2d(np.zeros((1, 2, 3)), np.zeros((1, 1, 1, 1)), stride=(1, 2), padding='same')\n"
        "z: np.ndarray = cconv.correlate([[1]], cconv.kernels.gaussian(3, 1.0), dtype=np.uint8)\n"
        "s: tuple[int, ...] = cconv.output_shape((3, 4), 3, padding=1)\n"
    )
    for command in (["mypy", "--strict", "user.py"], ["mypy.stubtest", "cconv.loop", "cconv.engine"]):
        done = subprocess.run([sys.executable, "-P", "-m", *command], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_installed_package_is_small():
    size = sum(p.stat().st_size for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    assert size < 2_400_000 + 50_000 * loop.CHECKED        # Cython's checks of bounds, in a build for tests alone


def test_import_needs_neither_pillow_nor_much_time():
    code = (
        "import sys, time, numpy\n"
        "t = time.perf_counter(); import cconv; t = time.perf_counter() - t\n"
        "heavy = [m for m in ('PIL', 'argparse', 'concurrent.futures.thread', 'difflib', 'scipy') if m in sys.modules]\n"
        "print(t, heavy)\n"
    )
    times = []
    for _ in range(9):
        done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
        seconds, heavy = done.stdout.split(None, 1)
        assert heavy.strip() == "[]"
        times.append(float(seconds))
    assert min(times) < 0.020


def test_the_bare_sources_say_what_to_do(tmp_path):
    target = tmp_path / "cconv"
    target.mkdir()
    for path in PACKAGE.glob("*.py"):
        (target / path.name).write_bytes(path.read_bytes())
    done = subprocess.run([sys.executable, "-c", "import cconv"], capture_output=True, text=True, cwd=tmp_path)
    assert "ImportError" in done.stderr and "run 'pip install .'" in done.stderr.splitlines()[-1]


@pytest.mark.skipif(os.name != "posix", reason="sends itself a POSIX signal")
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("algorithm", ["auto", "loop"])
def test_ctrl_c_stops_a_long_call_soon(workers, algorithm):
    code = (
        "import numpy as np, cconv, os, signal, threading, time\n"
        "x, k = np.ones((3000, 3000), np.float32), np.random.rand(301, 301)\n"
        "def press():\n"
        "    global at; at = time.perf_counter(); os.kill(os.getpid(), signal.SIGINT)\n"
        "threading.Timer(0.7, press).start()\n"
        "try:\n"
        f"    cconv.correlate(x, k, workers={workers}, algorithm={algorithm!r}); print('finished')\n"
        "except KeyboardInterrupt:\n"
        "    print(time.perf_counter() - at)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.5, "seconds until KeyboardInterrupt"


def test_explain_tells_what_the_call_does():
    x, w = np.ones((1, 8, 20, 20), np.float32), np.ones((8, 8, 3, 3), np.float32)
    plan = cconv.explain(x, w, None, 2, padding="same")
    assert plan.shape == cconv.conv2d(x, w, None, 2, padding="same").shape == (1, 8, 10, 10)
    assert plan.algorithm == "taps" and plan.padding == ((1, 1), (1, 1)) and plan.multiplications == 8 * 8 * 9 * 100
    assert "taps" in str(plan) and "multiplications" in str(plan)
    for algorithm in ("rows", "taps", "loop"):
        assert cconv.explain(x, w, algorithm=algorithm).algorithm == algorithm
    assert cconv.explain(np.ones((9, 9, 3)), np.ones((3, 3))).shape == (7, 7, 3)
    assert cconv.explain(cconv.convolve, np.ones((5, 6, 7)), np.ones((2, 2, 2))).shape == (4, 5, 6)
    assert cconv.explain(np.full((5, 5), 2**30), np.full((3, 3), 2**20), dtype=np.int64).algorithm == "loop"
    with pytest.raises(ValueError, match="channels last"):
        cconv.explain(np.ones((1, 9, 9, 3)), np.ones((4, 3, 3, 3)))
    with pytest.raises(TypeError, match="explain takes the arguments of"):
        cconv.explain(np.sum, x)


@pytest.mark.parametrize("isa", engine.instruction_sets())
def test_every_instruction_set_can_be_forced(isa, monkeypatch):
    monkeypatch.setenv("CCONV_ISA", isa)
    assert cconv.explain(np.ones((9, 9)), np.ones((3, 3))).isa == isa
    assert (cconv.correlate(np.ones((9, 9)), np.ones((3, 3))) == 9).all()


def test_an_unknown_instruction_set_is_an_error(monkeypatch):
    monkeypatch.setenv("CCONV_ISA", "sse9")
    with pytest.raises(ValueError, match="CCONV_ISA='sse9' .* want one of .*generic"):
        cconv.correlate([1.0, 2.0], [1.0])


def test_loop_refuses_what_does_not_fit_instead_of_crashing():
    x, w, y = (np.zeros((1, 1, 1, 1, n)) for n in (9, 3, 7))
    good = dict(x=x, w=w, bias=np.zeros(1), y=y, stride=(1, 1, 1), pads=((0, 0),) * 3, dilation=(1, 1, 1), groups=1,
                mode="zeros", value=0.0)
    loop.correlate(**good)
    for wrong in (
        dict(y=np.zeros((1, 1, 1, 1, 8))), dict(y=np.zeros((1, 2, 1, 1, 7))), dict(y=np.zeros((2, 1, 1, 1, 7))),
        dict(w=np.zeros((1, 2, 1, 1, 3))), dict(w=np.zeros((1, 1, 1, 1, 0))), dict(groups=0), dict(groups=2),
        dict(bias=np.zeros(2)), dict(stride=(1, 1, 2)), dict(stride=(1, 1, 0)), dict(dilation=(1, 1, 2**62)),
        dict(start=(0, 0, 1)), dict(start=(0, 0, -1)), dict(x=x[0]), dict(mode="nothing"), dict(pads=((0, 0), (0, 0), (0, -2))),
        dict(x=x.astype(np.float32)), dict(y=y.astype(np.int8)), dict(x=x.astype(">f8")), dict(y=y.astype(np.complex128)),
    ):
        with pytest.raises((ValueError, TypeError, KeyError, OverflowError)):
            loop.correlate(**{**good, **wrong})
    read_only = y.copy()
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        loop.correlate(**{**good, "y": read_only})
