"""Random calls of every public convolution, each compared with tests/reference.py.

CCONV_TEST_SEED=n repeats a run.  A failing case is printed with its parameters; each has a random
stream of its own, so that it fails again when it is the only one to be run.
"""

from fractions import Fraction
from math import prod

import numpy as np
import pytest
from reference import convolution, pads_of, promise, saturated
from samples import FLOATS, FORMS, INTEGERS, SEED, byte_swapped, numbers

import cconv

BATCHES, CASES = 22, 110
WORK = 2500  # multiplications of a case, at most: the reference counts with fractions

MODES = ("zeros", "constant", "edge", "reflect", "symmetric", "wrap", "replicate", "nearest", "mirror", "circular")
WORDS = ("valid", "full", "same", "same_upper", "same_lower")
FLOAT32_IMAGES = ("bool", "uint8", "int8", "uint16", "int16", "float16", "float32")


def test_at_least_2000_cases_are_drawn():
    assert BATCHES * CASES >= 2000


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_calls_agree_with_the_reference(batch, monkeypatch):
    print(f"CCONV_TEST_SEED={SEED}")
    if batch % 2:  # threads and chunks as in large calls, for these small ones
        monkeypatch.setattr("cconv.compute.THREADING_PAYS", 0)
        monkeypatch.setattr("cconv.job.CHUNK", 8)
    failures = []
    for case in range(CASES):
        rng = np.random.default_rng([SEED, batch, case])
        call = (layer_call if rng.random() < 0.5 else picture_call)(rng)
        try:
            check(rng, **call)
        except Exception as error:
            label = f"CCONV_TEST_SEED={SEED} batch {batch} case {case}"
            failures.append(f"{label}: {describe(call)}\n    {type(error).__name__}: {error}")
    assert not failures, f"{len(failures)} of {CASES} calls:\n" + "\n".join(failures[:3])


def describe(call):
    def text(value):
        if isinstance(value, np.ndarray):
            return f"{value.dtype.str} {value.shape} strides {value.strides} of {value.tolist()}"
        return getattr(value, "__name__", repr(value))

    flat = {**call, **call["options"]}
    return "".join(f"\n    {k}: {text(v)}" for k, v in flat.items() if k not in ("options", "exactly"))


def geometry(rng, axes, rows):
    """Sizes, kernel and options of a call whose result is not empty; `exactly`: the same as the
    reference wants it.  `rows`: batch times channels times filters."""
    while True:
        most = (14, 7, 4)[axes - 1]
        sizes = rng.integers(1, most + 1, axes).tolist()
        kernel = rng.integers(1, (7, 4, 3)[axes - 1] + 1, axes).tolist()
        stride = rng.integers(1, rng.choice([2, 3, 6]), axes).tolist()
        dilation = rng.integers(1, rng.choice([2, 2, 4]), axes).tolist()
        if rng.random() < 0.35:
            padding = str(rng.choice(WORDS))
            each = zip(sizes, kernel, stride, dilation, strict=True)
            pads = [pads_of(padding, *numbers_of_axis) for numbers_of_axis in each]
        else:
            widest = int(rng.choice([0, 1, 2, (3 * most, 12, 6)[axes - 1]]))
            pads = rng.integers(0, widest + 1, (axes, 2)).tolist()
            if rng.random() < 0.5:
                pads = [[p, p] for p, _ in pads]
            padding = shorter(rng, [tuple(p) for p in pads])
        reach = zip(sizes, kernel, stride, dilation, pads, strict=True)
        out = [len(range(0, n + sum(p) - d * (k - 1), s)) for n, k, s, d, p in reach]
        if 0 < prod(out) * prod(kernel) * rows <= WORK:
            break
    mode = str(rng.choice(MODES))
    value = float(rng.choice([0, 1, -3, 0.25, 1000])) if mode == "constant" else 0
    options = dict(stride=shorter(rng, stride), padding=padding, dilation=shorter(rng, dilation), padding_mode=mode)
    if mode == "constant":
        options["padding_value"] = int(value) if value == int(value) and rng.random() < 0.5 else value
    exactly = dict(stride=stride, pads=pads, dilation=dilation, mode=mode, value=value)
    return sizes, kernel, options, exactly


def shorter(rng, entries):
    """One entry for all axes where that says the same; else any kind of sequence."""
    same = all(e == entries[0] for e in entries)
    if isinstance(entries[0], tuple):
        if all(a == b for a, b in entries) and rng.random() < 0.7:
            return shorter(rng, [a for a, _ in entries])
        return tuple(entries)
    if same and rng.random() < 0.7:
        return entries[0]
    return (list, tuple, np.array)[rng.integers(3)](entries)


def array(rng, dtype, shape, small):
    return FORMS[rng.integers(len(FORMS))](rng, numbers(rng, dtype, shape, small))


def draw_dtypes(rng):
    """Of the first and the second array, and of the result."""
    kind = rng.integers(4)
    if kind == 0:  # the plain case
        first = second = str(rng.choice(FLOATS[1:]))
        wanted = None
    elif kind == 1:  # integers throughout: exact
        first, second = str(rng.choice(INTEGERS)), str(rng.choice(INTEGERS))
        wanted = str(rng.choice(INTEGERS[1:]))
    else:
        first, second = str(rng.choice(INTEGERS + FLOATS)), str(rng.choice(INTEGERS + FLOATS))
        wanted = rng.choice([None, *INTEGERS[1:], *FLOATS])
    return first, second, wanted


def layer_call(rng):
    axes = int(rng.integers(1, 4))
    batch, groups = int(rng.choice([1, 1, 2, 3])), int(rng.choice([1, 1, 2, 3]))
    channels, filters = groups * int(rng.integers(1, 3)), groups * int(rng.integers(1, 3))
    sizes, kernel, options, exactly = geometry(rng, axes, batch * channels // groups * filters)
    first, second, wanted = draw_dtypes(rng)
    small = "float16" in (first, second, wanted)

    last, single = rng.random() < 0.4, batch == 1 and rng.random() < 0.5
    x = array(rng, first, (batch, *sizes, channels) if last else (batch, channels, *sizes), small)
    w = array(rng, second, (filters, channels // groups, *kernel), small)
    kinds = [second, "float64", "int16"] if wanted is None or wanted in FLOATS else [second, "int64", "uint8"]
    bias = array(rng, str(rng.choice(kinds)), (filters,), True) if rng.random() < 0.6 else None
    activation = [None, None, "relu", ("clip", -0.5, 2), ("clip", 0, 6.0)][rng.integers(5)]

    options |= dict(groups=groups, layout="channels_last" if last else "channels_first", activation=activation)
    natural = np.result_type(x, w)
    if natural.kind != "f":
        natural = np.dtype(np.float32 if natural.itemsize <= 2 else np.float64)
    return dict(
        function=(cconv.conv1d, cconv.conv2d, cconv.conv3d)[axes - 1], first=x[0] if single else x, second=w,
        bias=bias, wanted=wanted, natural=natural, options=options,
        exactly=exactly | dict(x=np.moveaxis(x, -1, 1) if last else x, w=w, bias=bias, groups=groups),
    )  # fmt: skip


def picture_call(rng):
    axes = int(rng.integers(1, 4))
    channels = int(rng.choice([0, 0, 1, 3]))
    sizes, kernel, options, exactly = geometry(rng, axes, max(channels, 1))
    first, second, wanted = draw_dtypes(rng)
    small = "float16" in (first, wanted)

    axis = int(rng.integers(axes + 1))
    shape = [*sizes[:axis], channels, *sizes[axis:]] if channels else sizes
    x, w = array(rng, first, shape, small), array(rng, second, kernel, small)
    if not channels:
        options["channel_axis"] = [None, "auto"][rng.integers(2)]
    elif axis < axes or rng.random() < 0.5:
        options["channel_axis"] = axis - (axes + 1 if rng.random() < 0.5 else 0)
    function = (cconv.correlate, cconv.convolve)[rng.integers(2)]
    planes = np.moveaxis(x, axis, 0)[:, None] if channels else x[None, None]
    taps = [Fraction(t) for t in w.ravel().tolist()]
    normalize = [False, False, "size", "sum"][rng.integers(4)]
    if normalize == "sum" and abs(sum(taps)) * 8 <= sum(map(abs, taps)):
        normalize = "size"  # a sum near 0 is no number to divide by
    divisor = {"size": len(taps), "sum": sum(taps)}.get(normalize, 1)
    bias = [0, 0, 7, -2.0, 0.25][rng.integers(5)]

    return dict(
        function=function, first=x, second=w, bias=bias, wanted=wanted,
        natural=np.dtype(np.float32 if first in FLOAT32_IMAGES else np.float64),
        options=options | dict(normalize=normalize), divisor=divisor,
        exactly=exactly | dict(x=planes, w=w[None, None], bias=None, flip=function is cconv.convolve),
    )  # fmt: skip


def placed_out(rng, call_shape, dtype, first):
    """An array for the result, and the first argument: they share memory in some cases."""
    form = rng.integers(4)
    if form == 0:
        return np.full(call_shape, 5, dtype), first
    if form == 1:  # every second value, from the end
        whole = np.full([2 * n for n in call_shape], 5, dtype)
        return whole[(slice(None, None, -2),) * len(call_shape)], first
    if form == 2:
        return byte_swapped(rng, np.full(call_shape, 5, dtype)), first
    offset, size = int(rng.integers(first.nbytes + 1)), prod(call_shape) * dtype.itemsize
    memory = np.zeros(max(first.nbytes, offset + size), np.uint8)
    shared = memory[: first.nbytes].view(first.dtype).reshape(first.shape)
    shared[...] = first
    return memory[offset : offset + size].view(dtype).reshape(call_shape), shared


def check(rng, function, first, second, bias, wanted, natural, options, exactly, divisor=1):
    """Call and compare: dtype, shape, every value, untouched inputs, `out` returned."""
    shape, sums, bounds = convolution(**exactly)
    offset = 0 if isinstance(bias, np.ndarray) or bias is None else Fraction(bias)
    sums = [s / Fraction(divisor) + offset for s in sums]
    bounds = [b / abs(Fraction(divisor)) + abs(offset) for b in bounds]
    if options.get("layout") == "channels_last":
        shape = (shape[0], *shape[2:], shape[1])
    if first.ndim == len(shape) - 1 and "layout" in options:
        shape = shape[1:]
    if "layout" not in options:
        axis = options.get("channel_axis", "auto")
        axis = second.ndim if axis == "auto" and first.ndim > second.ndim else axis
        shape = list(shape[2:])
        if axis not in (None, "auto"):
            shape.insert(axis % first.ndim, first.shape[axis])
    shape = tuple(shape)

    out, result_dtype = None, np.dtype(wanted) if wanted else natural
    stored = result_dtype
    if rng.random() < 0.3:
        if wanted is None and rng.random() < 0.3:
            stored = result_dtype = np.dtype(str(rng.choice(INTEGERS[1:])))
        elif natural != np.float16 and rng.random() < 0.3 and result_dtype.kind == "f":
            stored = np.dtype(np.float64)
        out, first = placed_out(rng, shape, stored, first)

    integral = [exactly["x"], second] + ([bias] if isinstance(bias, np.ndarray) else [])
    whole = all(a.dtype.kind in "biu" for a in integral) and offset == int(offset)
    whole = whole and exactly["value"] == int(exactly["value"]) and result_dtype.kind in "iu"
    before = [a.copy() for a in (first, second)]
    try:
        y = function(first, second, bias=bias, dtype=wanted, out=out, workers=int(rng.integers(1, 4)), **options)
    except OverflowError:
        assert whole and largest_sum(exactly, bias) >= 2**63, "OverflowError although int64 holds every sum"
        return
    assert y.shape == shape
    assert y is out if out is not None else y.dtype == result_dtype
    if out is None or not np.may_share_memory(out, first):
        assert all(a.tobytes() == b.tobytes() for a, b in zip((first, second), before, strict=True))

    if options.get("layout") == "channels_last":
        y = np.moveaxis(y, -1, -1 - second.ndim + 2)
    elif len(shape) > second.ndim and "layout" not in options:
        y = np.moveaxis(y, axis, 0)
    compare(y.ravel().tolist(), sums, bounds, result_dtype, stored, natural, options.get("activation"),
            exact=whole and not options.get("normalize"))  # fmt: skip


def largest_sum(exactly, bias):
    """What no partial sum of any order exceeds, for numbers as large as those of the input."""
    top = max([abs(v) for v in exactly["x"].ravel().tolist()] + [abs(exactly["value"]), 1])
    weights = max(sum(abs(int(v)) for v in filter_.ravel().tolist()) for filter_ in exactly["w"])
    offset = max(map(abs, np.ravel(bias).tolist())) if bias is not None else 0
    return top * weights + offset


def compare(values, sums, bounds, dtype, stored, natural, activation, exact):
    """Each value against its exact one: equal where `exact`, else within the error promise."""
    eps = max(np.finfo(d).eps for d in (dtype, stored, natural if dtype.kind != "f" else dtype) if d.kind == "f") \
        if "f" in (dtype.kind, stored.kind, natural.kind) else 0  # fmt: skip
    low, high = limits(activation)
    assert len(values) == len(sums)
    for i, (value, total, bound) in enumerate(zip(values, sums, bounds, strict=True)):
        allowed = 0 if exact else promise(eps, bound)
        least, most = (min(max(total + a, low), high) for a in (-allowed, allowed))
        if dtype.kind in "iu":
            info = np.iinfo(dtype)
            least, most = (saturated(v, int(info.min), int(info.max)) for v in (least, most))
        else:
            tiny = Fraction(float(np.finfo(stored).smallest_subnormal))
            least, most = least - tiny, most + tiny
            largest = Fraction(float(np.finfo(stored).max))
            if most > largest and value == np.inf or least < -largest and value == -np.inf:
                continue  # no number of that dtype is as large
        assert least <= value <= most, f"value {i} is {value!r}, want {float(least)!r}..{float(most)!r}"


def limits(activation):
    huge = Fraction(10) ** 400
    if activation is None:
        return -huge, huge
    return (Fraction(0), huge) if activation == "relu" else (Fraction(activation[1]), Fraction(activation[2]))
