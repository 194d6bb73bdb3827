"""Every error of the public functions, by its text: one line that names the argument, what came,
what was wanted and the likely repair.  And that nonsense never does worse than that."""

import inspect

import numpy as np
import pytest
from samples import SEED

import cconv

X, W = np.ones((1, 2, 5, 6)), np.ones((4, 2, 3, 3))
PICTURE, KERNEL = np.ones((5, 6)), np.ones((3, 3))


def raises(error, text, call):
    with pytest.raises(error, match=text) as caught:
        call()
    assert "\n" not in str(caught.value), "more than one line"


def conv(**options):
    return cconv.conv2d(options.pop("input", X), options.pop("weight", W), **options)


def picture(**options):
    return cconv.correlate(options.pop("image", PICTURE), options.pop("kernel", KERNEL), **options)


NO_COUNT = [
    (0, ValueError, "{name} is 0; want an integer of at least 1"),
    (-2, ValueError, "{name} is -2; want an integer of at least 1"),
    (True, TypeError, "{name} is True, a boolean; want an integer of at least 1"),
    (np.True_, TypeError, "{name} is np.True_, a boolean; want an integer of at least 1"),
    (1.0, TypeError, r"{name} is 1\.0 \(float\); want an integer of at least 1"),
    (1.5, TypeError, r"{name} is 1\.5 \(float\); want an integer of at least 1"),
    (None, TypeError, r"{name} is None \(NoneType\); want an integer of at least 1"),
    ("2", TypeError, r"{name} is '2' \(str\); want an integer of at least 1"),
    (10**30, OverflowError, "{name} is 1000000000000000000000000000000; no size above"),
    (2**70, OverflowError, "{name} is 1180591620717411303424; no size above"),
    (10**5000, OverflowError, "{name} .*no size above"),
]  # fmt: skip


@pytest.mark.parametrize("name", ["stride", "dilation", "groups", "workers"])
@pytest.mark.parametrize("value, error, text", NO_COUNT, ids=range(len(NO_COUNT)))
def test_counts_are_integers_of_at_least_one(name, value, error, text):
    if name == "workers" and value is None:
        return
    text = "^" + text.replace("{name}", name)
    raises(error, text, lambda: conv(**{name: value}))
    if name != "groups":
        raises(error, text, lambda: picture(**{name: value}))
    if name in ("stride", "dilation"):
        text = text.replace(name, rf"{name}\[1\]")
        raises(error, text, lambda: conv(**{name: (1, value)}))
        raises(error, text, lambda: cconv.output_shape((5, 6), 3, **{name: [1, value]}))


@pytest.mark.parametrize("name", ["stride", "dilation"])
def test_sequences_of_counts_have_one_for_each_axis(name):
    for value, entries in (((1, 1, 1), 3), ([], 0), (np.ones(4, int), 4)):
        raises(ValueError, rf"^{name}=.* has {entries} entries; .* 2 axes", lambda v=value: conv(**{name: v}))
    for value in ({1: 1}, {"a": 1}, {0, 1}, b"\1\1", np.ones((2, 2, 2), int), np.ones((2, 3, 3))):
        raises((TypeError, ValueError), f"^{name}", lambda v=value: conv(**{name: v}))


@pytest.mark.parametrize("padding, error, text", [
    (-1, ValueError, "padding is -1; want an integer of at least 0"),
    (1.0, TypeError, r"padding is 1\.0 \(float\); want an integer of at least 0"),
    (True, TypeError, "padding is True, a boolean"),
    (None, TypeError, "padding is None"),
    ((1, -1), ValueError, r"padding\[1\] is -1"),
    (((1, 1), (0, -1)), ValueError, r"padding\[1\]\[1\] is -1"),
    (((1, 1), (0, 0.5)), TypeError, r"padding\[1\]\[1\] is 0\.5"),
    ((1, 2, 3), ValueError, r"padding=\(1, 2, 3\) has 3 entries; .* 2 axes"),
    (((1, 1),), ValueError, r"padding=\(\(1, 1\),\) does not fit: .*pair"),
    (((1, 1), (1, 1, 1)), ValueError, r"padding=.* does not fit: .*pair"),
    (((1, 1), 1), ValueError, r"padding=.* does not fit: .*pair"),
    (np.ones((3, 3), int), ValueError, r"padding=.* does not fit: .*pair"),
    ("smae", ValueError, "padding='smae' is not known: want one of 'valid', .*; did you mean 'same'"),
    ("SAME", ValueError, "padding='SAME' is not known.*; did you mean 'same'"),
    ("same_uper", ValueError, "padding='same_uper' .*did you mean 'same_upper'"),
    (2**61, OverflowError, "padding is 2305843009213693952; no size above"),
    (2**70, OverflowError, "padding is 1180591620717411303424; no size above"),
    (((0, 10**30), (0, 0)), OverflowError, r"padding\[0\]\[1\] is 1000000000000000000000000000000; no size above"),
])  # fmt: skip
def test_padding(padding, error, text):
    raises(error, f"^{text}", lambda: conv(padding=padding))
    raises(error, f"^{text}", lambda: picture(padding=padding))
    raises(error, f"^{text}", lambda: cconv.output_shape((5, 6), 3, padding=padding))


NOT_A_WORD = [
    None, 3, ["edge"], b"edge", np.array(["a", "b"]), np.array([1, 2]), {}, np.array("x"), np.ones((2, 2)), 10**5000,
]  # fmt: skip


@pytest.mark.parametrize("name, word, near", [
    ("padding_mode", "reflct", "reflect"), ("padding_mode", "Edge", "edge"), ("padding_mode", "circle", "circular"),
    ("padding_mode", "zero", "zeros"), ("layout", "channel_last", "channels_last"),
    ("layout", "channelsfirst", "channels_first"),
    ("activation", "rellu", "relu"), ("algorithm", "lop", "loop"), ("normalize", "summ", "sum"),
    ("normalize", "sized", "size"),
    ("padding_mode", "xyzzy", None), ("layout", "NHWC", None),
    ("activation", "gelu", None), ("algorithm", "magic", None), ("normalize", "qqq", None),
])  # fmt: skip
def test_unknown_words_are_answered_with_the_known_ones_and_the_nearest(name, word, near):
    function = picture if name in ("normalize", "channel_axis") else conv
    text = f"^{name}='{word}' is not known: want one of .*" + (f"; did you mean '{near}'" if near else "")
    raises(ValueError, text, lambda: function(**{name: word}))


@pytest.mark.parametrize("name", ["padding_mode", "layout", "algorithm", "activation", "normalize", "channel_axis"])
@pytest.mark.parametrize("value", NOT_A_WORD, ids=[f"{i}-{type(v).__name__}" for i, v in enumerate(NOT_A_WORD)])
def test_what_is_no_word_names_the_argument(name, value):
    if value is None and name in ("activation", "normalize", "channel_axis"):
        return  # means: none
    raises((TypeError, ValueError), name,
           lambda: (picture if name in ("normalize", "channel_axis") else conv)(**{name: value}))  # fmt: skip


def test_words_of_two_kinds_say_which_is_meant():
    raises(ValueError, "^normalize=True does not say how: pass 'size'.*'sum'", lambda: picture(normalize=True))
    raises(ValueError, r"^padding_mode='resize' is for cconv\.pad only",
           lambda: picture(padding=1, padding_mode="resize"))  # fmt: skip
    raises(ValueError, "^normalize='sum' cannot divide by the kernel's sum, 0",
           lambda: picture(kernel=KERNEL * 0, normalize="sum"))  # fmt: skip


@pytest.mark.parametrize("activation, text", [
    ("clip", r"\('clip', low, high\)"), (("clip", 1), r"\('clip', low, high\)"),
    (("clip", 2, 1), "empty range; want low <= high"),
    (("clip", np.nan, 1), "empty range"), (("clip", "a", 1), "'a'.*want a number"), (("relu",), "want None, 'relu'"),
    (("clip", None, 1), "None.*want a number"), (6, "want None, 'relu'"),
])  # fmt: skip
def test_activation(activation, text):
    raises((TypeError, ValueError), f"^activation.*{text}", lambda: conv(activation=activation))


@pytest.mark.parametrize("name", ["padding_value", "bias"])
@pytest.mark.parametrize("value", [None, "1", [1.0], np.ones(3), 1j, {}])
def test_numbers_are_numbers(name, value):
    options = {"padding_mode": "constant"} if name == "padding_value" else {}
    raises(TypeError, f"^{name} .*want a number", lambda: picture(**options, **{name: value}))


def test_numbers_too_large_for_any_float():
    for digits in (400, 5000):
        raises(OverflowError, "^bias .*float64", lambda d=digits: picture(bias=10**d))
    raises(ValueError, "^padding_value=3 has no effect with padding_mode='edge': .*'constant'",
           lambda: picture(padding=1, padding_mode="edge", padding_value=3))  # fmt: skip


@pytest.mark.parametrize("groups, channels, weight, text", [
    (2, 3, (4, 1, 3, 3), r"input has 3 channels on axis 1 but weight wants 2 \(1 for each of 2 groups\)"),
    (2, 4, (3, 2, 3, 3), "groups=2 does not divide the 3 output channels of weight"),
    (5, 5, (4, 1, 3, 3), "groups=5 does not divide the 4 output channels of weight"),
    (1, 4, (4, 2, 3, 3), "input has 4 channels on axis 1 but weight wants 2: grouped. pass groups=2"),
    (2**59, 4, (4, 2, 3, 3), "input has 4 channels on axis 1 but weight wants"),
])  # fmt: skip
def test_groups_that_do_not_fit(groups, channels, weight, text):
    raises(ValueError, f"^{text}",
           lambda: conv(input=np.ones((1, channels, 5, 5)), weight=np.ones(weight), groups=groups))  # fmt: skip


def test_channels_that_do_not_match_say_which_layout_would():
    raises(ValueError,
           "^input has 512 channels on axis 1 but weight wants 3: channels last. pass layout='channels_last'$",
           lambda: conv(input=np.ones((1, 512, 5, 3)), weight=np.ones((1, 3, 3, 3))))  # fmt: skip
    raises(ValueError,
           "^input has 6 channels on axis 3 but weight wants 2: channels first. pass layout='channels_first'$",
           lambda: conv(layout="channels_last"))  # fmt: skip
    raises(ValueError, "^input has 5 channels on axis 0 but weight wants 2$", lambda: conv(input=np.ones((5, 7, 7))))


@pytest.mark.parametrize("input, weight, text", [
    (np.ones((5, 6)), W, r"input has shape \(5, 6\), 2 axes; conv2d wants 4: \(N, C, H, W\), or 3: .*input\[None\]"),
    (np.ones((1, 1, 1, 5, 6)), W, r"input has shape \(1, 1, 1, 5, 6\), 5 axes; conv2d wants 4"),
    (np.float64(3), W, r"input has shape \(\), 0 axes; conv2d wants 4"),
    (X, np.ones((3, 3)), r"weight has shape \(3, 3\), 2 axes; conv2d wants 4: \(O, C/groups, KH, KW\)"),
    (X, np.ones((0, 2, 3, 3)), r"weight has shape \(0, 2, 3, 3\): it is empty"),
    (X, np.ones((4, 2, 0, 3)), r"weight has shape \(4, 2, 0, 3\): it is empty"),
])  # fmt: skip
def test_shapes_of_layers(input, weight, text):
    raises(ValueError, f"^{text}", lambda: conv(input=input, weight=weight))


@pytest.mark.parametrize("shape", [(3,), (5,), (), (4, 1), (1, 4)])
def test_bias_is_one_number_for_each_output_channel(shape):
    raises(ValueError, r"^bias has shape \(.*\); want \(4,\), one for each output channel",
           lambda: conv(bias=np.ones(shape)))  # fmt: skip


@pytest.mark.parametrize("options, text", [
    ({"image": np.ones(5)},
     r"image has shape \(5,\), 1 axes, but the kernel has 2: want an image of 2 axes, or 3 with channels"),
    ({"image": np.ones((5, 5, 5, 5))}, "image has shape .*4 axes, but the kernel has 2"),
    ({"kernel": np.float64(1)}, r"kernel has shape \(\); want 1, 2 or 3 axes"),
    ({"kernel": np.ones((1, 1, 1, 1))}, r"kernel has shape \(1, 1, 1, 1\); want 1, 2 or 3 axes"),
    ({"kernel": np.ones((0, 3))}, r"kernel has shape \(0, 3\)"),
    ({"channel_axis": 2}, "image has shape .*channel_axis=2 and a kernel of 2 axes it needs 3"),
    ({"image": np.ones((5, 5, 2)), "channel_axis": None}, "image has shape .*channel_axis=None .*it needs 2"),
    ({"image": np.ones((5, 5, 2)), "channel_axis": 3},
     r"channel_axis is 3; want an integer from -3 to 2"),
    ({"image": np.ones((5, 5, 2)), "channel_axis": -4}, "channel_axis"),
])  # fmt: skip
def test_shapes_of_pictures(options, text):
    raises(ValueError, f"^{text}", lambda: picture(**options))


def test_an_empty_result_prints_the_arithmetic():
    text = r"spatial axis 1: floor\(\(6 \+ 1 \+ 0 - 3\*\(4 - 1\) - 1\) / 2\) \+ 1 = -1; want at least 1: a larger padding"
    options = dict(stride=2, dilation=3, padding=((3, 3), (1, 0)))
    raises(ValueError, text, lambda: conv(weight=np.ones((1, 2, 1, 4)), **options))
    raises(ValueError, text, lambda: picture(kernel=np.ones((1, 4)), **options))
    raises(ValueError, text, lambda: cconv.output_shape((5, 6), (1, 4), **options))
    raises(ValueError, "spatial axis 0: .* = 0; want", lambda: cconv.correlate(np.ones(0), [1.0]))


@pytest.mark.parametrize("options, error", [
    (dict(padding=2**59), OverflowError), (dict(padding=2**60), OverflowError),
    (dict(padding=((2**40, 0), (0, 2**40))), OverflowError),
    (dict(dilation=2**59), ValueError),
    (dict(dilation=2**59, padding=2**60), (OverflowError, MemoryError)),
    (dict(padding=2**60, padding_mode="wrap"), OverflowError),
])  # fmt: skip
def test_sizes_whose_product_overflows(options, error):
    name = "padding|spatial axis|result would have shape|too many"
    raises(error, name, lambda: conv(**options))
    raises(error, name, lambda: picture(**options))


def test_ragged_and_recursive_lists():
    raises(ValueError, "^image cannot be read as an array: .*inhomogeneous", lambda: picture(image=[[1, 2], [3]]))
    raises(ValueError, "^weight cannot be read as an array: .*inhomogeneous", lambda: conv(weight=[[1, 2], [3]]))
    endless = []
    endless.append(endless)
    raises(ValueError, "^image cannot be read as an array", lambda: picture(image=endless))


def test_every_mistake_is_found_before_any_work():
    out = np.full((1, 4, 3, 4), 7.0)
    mistakes = [
        {"activation": "gelu"}, {"algorithm": "x"}, {"workers": 0}, {"bias": np.ones(3)}, {"stride": 0},
        {"padding_mode": "x"}, {"dtype": "banana"}, {"groups": 2}, {"layout": "NHWC"}, {"padding": -1},
    ]  # fmt: skip
    for options in mistakes:
        with pytest.raises((TypeError, ValueError)):
            conv(out=out, **options)
        assert (out == 7).all(), options


class Nonsense:
    """Has no number, no length and no array, though it says so."""

    __index__ = __len__ = None

    def __array__(self, dtype=None, copy=None):
        raise KeyError("no array")


# Sizes are tiny or absurd: what could be allocated is not asked for.
ANYTHING = [
    None, True, False, 0, 1, 2, 3, -1, 2**59, 2**60, 2**61, 2**63, 10**30, 10**5000, 0.5, 1.0, -2.5, np.nan, np.inf,
    1j, "", "same", "full", "edge", "wrap", "loop", "sum", "relu", "channels_last", "a\nb", "\0", b"x", (), [], {},
    {1}, {"a": 1}, [[]], (1, 1), (2, 1), ((1, 1), (0, 1)), [1, 2, 3], ("clip", 0, 1), ("clip", 2, 1), ("clip",),
    [None, None], object, Ellipsis, len, Nonsense(), np.int8(1), np.uint64(2**63), np.float16(1), np.True_,
    np.array(2), np.array([1, 1]), np.array([True, False]), np.zeros((3, 3, 3)), np.ones((1, 2, 5, 6)),
    np.ones((4, 2, 3, 3), "f4"), np.ones((5, 6), "u1"), np.ones((3, 3), int), np.ones(4), np.empty((0, 2)),
    np.ones((5, 6, 3), "f2"), np.array("x"), np.array(None), np.zeros((2, 2), complex), np.ma.ones((3, 3)), np.int8,
    "float32", "O", "V8", np.broadcast_to(1.0, (3, 3)), np.full((3, 3), np.nan), np.array([2**63 - 1, -(2**63)]),
    np.ones((1, 4, 3, 4)), np.ones((1, 4, 3, 4), "u1"),
]  # fmt: skip
COMMON = ("stride", "padding", "dilation", "padding_mode", "padding_value", "bias", "dtype", "out", "workers", "algorithm")
LAYER = (*COMMON, "groups", "layout", "activation")
IMAGE = (*COMMON, "normalize", "channel_axis")
TRANSPOSED = (*(n for n in COMMON if n not in ("padding_mode", "padding_value")), "groups", "layout", "activation", "output_padding", "output_size")
BACKWARDS = (*(n for n in COMMON if n not in ("algorithm", "bias")), "groups", "layout")


def layer(weight, **options):
    return cconv.Conv(weight, **options)(X)


layer.__signature__ = inspect.signature(cconv.Conv)
FUNCTIONS = [
    (cconv.conv1d, (np.ones((2, 5)), np.ones((4, 2, 3))), LAYER), (cconv.conv2d, (X, W), LAYER),
    (cconv.conv3d, (np.ones((1, 1, 3, 3, 3)), np.ones((1, 1, 2, 2, 2))), LAYER),
    (cconv.correlate, (PICTURE, KERNEL), IMAGE),
    (cconv.convolve, (PICTURE, KERNEL), IMAGE),
    (cconv.output_shape, ((5, 6), (3, 3)), ("stride", "padding", "dilation")),
    (cconv.conv_transpose1d, (np.ones((2, 5)), np.ones((2, 4, 3))), TRANSPOSED),
    (cconv.conv_transpose2d, (X, np.ones((2, 4, 3, 3))), TRANSPOSED),
    (cconv.conv_input, ((1, 2, 5, 6), W, np.ones((1, 4, 3, 4))), BACKWARDS),
    (cconv.conv_weight, (X, (4, 2, 3, 3), np.ones((1, 4, 3, 4))), BACKWARDS),
    (cconv.conv_bias, (np.ones((1, 4, 3, 4)),), ("layout", "axes", "dtype")),
    (layer, (W,), [n for n in LAYER if n not in ("out", "workers")]),
    (cconv.pad, (PICTURE, 1), ("padding_mode", "padding_value", "channel_axis")),
]  # fmt: skip


def shown(value):
    """Short, and without the error that repr raises for the longest integers."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {shown(v)}" for k, v in value.items()) + "}"
    if type(value) is tuple:
        return "(" + ", ".join(map(shown, value)) + ")"
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return "10**5000" if type(value) is int and value > 10**100 else repr(value)


@pytest.mark.parametrize("function, required, names", FUNCTIONS, ids=[f.__name__ for f, _, _ in FUNCTIONS])
def test_no_argument_crashes_the_process(function, required, names):
    print(f"CCONV_TEST_SEED={SEED}")
    rng = np.random.default_rng([SEED, 1])
    anything = lambda: ANYTHING[rng.integers(len(ANYTHING))]  # noqa: E731
    calls = [(required, {name: value}) for name in names for value in ANYTHING]
    calls += [((*required[:i], value, *required[i + 1 :]), {}) for i in range(len(required)) for value in ANYTHING]
    for _ in range(600):
        given = tuple(anything() if rng.random() < 0.1 else value for value in required)
        calls.append((given, {name: anything() for name in names if rng.random() < 0.25}))
    named = (*inspect.signature(function).parameters, "input", "spatial axis", "the result", "exact sum")
    complaints, returned = {}, 0  # one of each kind
    for given, options in calls:
        if isinstance(options.get("out"), np.ndarray):
            options = options | {"out": options["out"].copy()}
        try:
            function(*given, **options)
            returned += 1
        except (TypeError, ValueError, OverflowError, MemoryError) as error:
            if "\n" in str(error) or not any(name in str(error) for name in named):
                complaints[type(error), str(error)[:10]] = f"{repr(error)[:150]} from {shown(given)}, {shown(options)}"
        except Exception as error:
            complaints[type(error), str(error)[:10]] = f"{repr(error)[:150]} from {shown(given)}, {shown(options)}"
    assert returned > 20, "nothing is proven by calls that all fail"
    assert not complaints, "\n".join(complaints.values())


def test_what_users_of_other_libraries_try_is_answered_with_the_repair():
    raises(ValueError, "weight .*for a plain picture and kernel use cconv.correlate",
           lambda: cconv.conv2d(np.ones((5, 5)), np.ones((3, 3))))
    raises(ValueError, "channels first\\? pass channel_axis=0", lambda: cconv.correlate(np.ones((3, 9, 9)), np.ones((5, 5))))
    raises(ValueError, "a picture with channels\\? pass channel_axis=-1", lambda: cconv.pad(np.ones((5, 5, 3)), ((1, 1), (2, 2))))
    raises(ValueError, "channel_axis='last'; want an integer, None or 'auto'", lambda: picture(channel_axis="last"))
    raises(TypeError, "kernel is .*call it first", lambda: picture(kernel=cconv.kernels.gaussian))
    raises(ValueError, "padding_mode='linear_ramp' is not known: want .*'resize'", lambda: cconv.pad([1], 1, "linear_ramp"))
    raises(ValueError, "diagonals is 5; want True or False", lambda: cconv.kernels.laplacian(5))
    raises(ValueError, "sigma is 1e-200; want a number from 0.01", lambda: cconv.kernels.gaussian(4, 1e-200))
