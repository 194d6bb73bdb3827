"""Threads that share a run: those that wait for more, new ones, none; calls at once, calls after a fork."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import cconv
from cconv.compute import share

rng = np.random.default_rng(0)
X = rng.standard_normal((1, 32, 40, 40)).astype(np.float32)
W = rng.standard_normal((32, 32, 3, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def every_call_is_shared(monkeypatch):
    monkeypatch.setattr("cconv.compute.THREADING_PAYS", 1)
    monkeypatch.setattr("cconv.compute.PACKING_PAYS", 1)


def printed_by(code, folder):
    """In a process of its own; with what went wrong."""
    done = subprocess.run([sys.executable, "-P", "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120, cwd=folder)
    return done.stdout + done.stderr


def test_calls_from_many_threads_share_the_helpers():
    """More owners than cores, each with its own plan, weights and result."""
    layers = [cconv.Conv(W * k, padding=1) for k in range(1, 5)]
    wanted, errors = [layer(X, workers=1) for layer in layers], []

    def own(k):
        for turn in range(60):
            got = layers[k](X, workers=2 + turn % 4) if turn % 2 else cconv.conv2d(X, W * (k + 1), padding=1, workers=3)
            if turn % 2 and (got != wanted[k]).any() or np.abs(got - wanted[k]).max() > 1e-2:
                errors.append((k, turn))

    threads = [threading.Thread(target=own, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a limit on memory")
def test_without_a_thread_to_be_had(tmp_path):
    code = (
        "import resource, numpy as np, cconv, cconv.compute\n"
        "cconv.compute.THREADING_PAYS = 1\n"
        "x, w = np.ones((1, 16, 30, 30), np.float32), np.ones((16, 16, 3, 3), np.float32)\n"
        "layer = cconv.Conv(w, padding=1)\n"
        "want = layer(x, workers=1)\n"
        "threads = lambda: int(open('/proc/self/status').read().split('Threads:')[1].split()[0])\n"
        "pages = int(open('/proc/self/statm').read().split()[0])\n"
        "limit = pages * resource.getpagesize() + 2**21\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))      # no room for a stack\n"
        "before = threads()\n"
        "got = [layer(x, workers=4) for _ in range(3)]\n"
        "assert threads() == before\n"
        "resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "got += [layer(x, workers=4) for _ in range(3)]\n"
        "assert threads() > before\n"
        "print(all((y == want).all() for y in got))\n"
    )
    assert printed_by(code, tmp_path) == "True\n"


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("shape, outputs, options", [
    ((1, 70, 28, 28), 130, {}), ((3, 40, 9, 11), 64, {}), ((1, 48, 20, 19), 96, {"dilation": 2, "padding": 2}), ((1, 128, 30, 31), 200, {"stride": 2}),
    ((3, 40, 28, 28), 64, {}), ((2, 12, 5, 10, 9), 64, {"stride": (1, 2, 2)}), ((2, 128, 14, 14), 128, {"groups": 2}),
])
def test_what_winograd_makes_of_the_input_is_shared(shape, outputs, options, layout, monkeypatch):
    """By more threads than there are different inputs; values that are not finite spoil what sees them, and nothing else."""
    options = {"padding": 1, "algorithm": "winograd"} | options
    prepared = []
    monkeypatch.setattr("cconv.conv.share", lambda plan, *rest: (prepared.append(plan.preparations), share(plan, *rest)))
    w = rng.standard_normal((outputs, shape[1] // options.get("groups", 1), *[3] * (len(shape) - 2))).astype(np.float32)
    x = rng.standard_normal(shape).astype(np.float32)
    spoilt = x.copy()
    spoilt[-1, 5, ..., 3, 4], spoilt[-1, -1, ..., 0, 0] = np.nan, np.inf
    layer = cconv.Conv(w, None, **options, layout=layout)
    for values in (x, spoilt):
        values = values if layout == "channels_first" else np.ascontiguousarray(np.moveaxis(values, 1, -1))
        want = layer(values, workers=1)
        for workers in (2, 3, 9):
            np.testing.assert_array_equal(layer(values, workers=workers), want)
    assert np.isnan(want).any() and np.isfinite(want).any()
    assert prepared and min(prepared) > 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape, outputs, kernel", [
    ((1, 96, 14, 14), 256, 1), ((1, 128, 7, 7), 512, 3), ((1, 32, 28, 28), 128, 3), ((1, 128, 14, 14), 190, 3), ((1, 64, 9, 11), 128, 3), ((1, 96, 20, 20), 49, 3),
])
def test_tasks_are_joined_where_threads_are_few(shape, outputs, kernel, dtype, monkeypatch):
    """As many at once as would cost one thread nothing; one by one where threads are many: the bits are the same."""
    cut = []
    monkeypatch.setattr("cconv.conv.share", lambda plan, *rest: (cut.append((plan.tasks, plan.joined, plan.ranges(rest[-1], 0))), share(plan, *rest)))
    w = rng.standard_normal((outputs, shape[1], kernel, kernel)).astype(dtype)
    x = rng.standard_normal(shape).astype(dtype)
    spoilt = x.copy()
    spoilt[-1, 5, 3, 4], spoilt[-1, -1, 0, 0] = np.nan, np.inf
    layer = cconv.Conv(w, rng.standard_normal(outputs).astype(dtype), padding=kernel // 2)
    for values in (x, spoilt):
        want = layer(values, workers=1)
        for workers in (2, 3, 5, 64):
            cut.clear()
            np.testing.assert_array_equal(layer(values, workers=workers), want)
            [(tasks, joined, parts)] = cut
            assert joined > 1 and tasks % parts == 0
            assert parts == {2: tasks // joined, 64: tasks}.get(workers, parts)


def test_fewer_tasks_are_joined_where_the_last_band_is_lower(monkeypatch):
    """28 rows are cut into 8, 8, 8 and 4, whole vectors each: with as many tasks as for one thread, two would do 16 rows and 12."""
    cut = []
    monkeypatch.setattr("cconv.conv.share", lambda plan, *rest: (cut.append((plan.tasks, plan.joined, plan.ranges(2, 0))), share(plan, *rest)))
    x, w = rng.standard_normal((1, 128, 28, 28)).astype(np.float32), rng.standard_normal((256, 128, 1, 1)).astype(np.float32)
    layer = cconv.Conv(w)
    np.testing.assert_array_equal(layer(x, workers=2), layer(x, workers=1))
    tasks, joined, parts = cut[0]
    assert joined > 1 and tasks // joined < parts <= tasks and tasks % parts == 0


def test_the_environment_says_how_many_threads(monkeypatch):
    """As it is when it is asked for."""
    for said, threads in (("3", 3), (" 5 ", 5), ("1024", 1024)):
        monkeypatch.setenv("CCONV_NUM_THREADS", said)
        assert cconv.get_workers() == threads
    for wrong in ("0", "1025", "two", "\udcff"):
        monkeypatch.setenv("CCONV_NUM_THREADS", wrong)
        with pytest.raises(ValueError, match="CCONV_NUM_THREADS"):
            cconv.get_workers()
    monkeypatch.setenv("CCONV_NUM_THREADS", "")
    usual = cconv.get_workers()
    monkeypatch.delenv("CCONV_NUM_THREADS")
    assert cconv.get_workers() == usual


def test_weights_that_are_not_finite_are_seen_by_whoever_packs_them():
    w = W.copy()
    w[-1, -1, -1, -1] = np.inf
    y = cconv.conv2d(X, w, padding=1, workers=3)
    assert np.isfinite(y[:, :-1]).all() and not np.isfinite(y[:, -1]).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_its_own(tmp_path):
    code = (
        "import os, sys, numpy as np, cconv, cconv.compute\n"
        "cconv.compute.THREADING_PAYS = 1\n"
        "x, w = np.ones((1, 16, 30, 30), np.float32), np.ones((16, 16, 3, 3), np.float32)\n"
        "layer = cconv.Conv(w, padding=1)\n"
        "want = layer(x, workers=1)\n"
        "for turn in range(5):\n"
        "    layer(x, workers=3)\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        os._exit(0 if all((layer(x, workers=3) == want).all() for _ in range(20)) else 1)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "print('well')\n"
    )
    assert printed_by(code, tmp_path) == "well\n"


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_ctrl_c_ends_a_shared_run(tmp_path):
    code = (
        "import signal, time, numpy as np, cconv\n"
        "x, w = np.ones((1, 1, 3000, 3000)), np.ones((1, 1, 151, 151)) + np.arange(151) % 7 * np.arange(151)[:, None] % 5\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.5)\n"
        "signal.signal(signal.SIGALRM, signal.default_int_handler)\n"
        "start = time.perf_counter()\n"
        "try:\n"
        "    cconv.conv2d(x, w, workers=2, algorithm='rows')\n"
        "    print('ended', time.perf_counter() - start)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted' if time.perf_counter() - start < 3 else 'late')\n"
    )
    assert printed_by(code, tmp_path) == "interrupted\n"
