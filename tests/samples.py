"""What the random tests draw from: the seed of this run, numbers of a dtype, forms in memory."""

import os
import random

import numpy as np

SEED = int(os.environ.get("CCONV_TEST_SEED") or random.SystemRandom().randrange(2**32))

INTEGERS = ("bool", "uint8", "int8", "uint16", "int16", "int32", "uint32", "int64", "uint64")
FLOATS = ("float16", "float32", "float64")


def numbers(rng, dtype, shape, small=False):
    """Random numbers; integers over their whole range unless `small` or by chance."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return (rng.standard_normal(shape) * rng.choice([0.01, 1, 8])).astype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    bits = 3 if small else int(rng.integers(1, 8 * dtype.itemsize + (dtype.kind == "u")))
    top = min(2**bits - 1, np.iinfo(dtype).max)
    low = -top - (not small) if dtype.kind == "i" else 0
    return rng.integers(low, top, shape, dtype, endpoint=True)


def as_it_is(rng, a):
    return a


def negative_strides(rng, a):
    flip = (slice(None, None, -1),) * a.ndim
    return a[flip].copy()[flip]


def zero_strides(rng, a):
    """The only form with other values: the first of a random axis, repeated along it."""
    axis = int(rng.integers(a.ndim))
    return np.broadcast_to(a.take([0], axis), a.shape) if a.shape[axis] else a


def fortran(rng, a):
    return np.asfortranarray(a)


def sliced(rng, a):
    whole = np.full([2 * n + 1 for n in a.shape], 77, a.dtype)
    part = whole[tuple(slice(1, 2 * n + 1, 2) for n in a.shape)]
    part[...] = a
    return part


def transposed(rng, a):
    order = rng.permutation(a.ndim)
    return a.transpose(order).copy().transpose(np.argsort(order))


def unaligned(rng, a):
    whole = np.frombuffer(b"\0" + a.tobytes() + b"\0", np.uint8)
    return whole[1 : 1 + a.nbytes].view(a.dtype).reshape(a.shape)


def byte_swapped(rng, a):
    return a.astype(a.dtype.newbyteorder())


def read_only(rng, a):
    a = a.copy()
    a.flags.writeable = False
    return a


FORMS = (as_it_is, negative_strides, zero_strides, fortran, sliced, transposed, unaligned, byte_swapped, read_only)
