"""The operation in plain Python, to be trusted by reading: what every result is compared with.

Numbers are ints and Fractions, so nothing is rounded anywhere.  Arrays are taken apart with
`shape` and `tolist()` at the border of each function; no NumPy beyond that.

Sizes: N batch, C input channels, O output channels, CG = C/groups.
"""

import math
from fractions import Fraction
from itertools import product

ALIASES = {"replicate": "edge", "nearest": "edge", "mirror": "reflect", "circular": "wrap"}


def exact(number):
    """A Python number without rounding (bools are ints)."""
    return Fraction(number) if isinstance(number, float) else int(number)


def source(i, n, mode):
    """Which of n values stands at coordinate i, or None: a walk from the nearest value outwards.

    What a step does that would leave the picture is what the border is.
    """
    if 0 <= i < n:
        return i
    if n == 0:
        return None
    place, step = (0, -1) if i < 0 else (n - 1, 1)
    for _ in range(abs(i - place)):
        if 0 <= place + step < n:
            place += step
        elif mode == "edge":
            pass
        elif mode == "wrap":
            place = 0 if step > 0 else n - 1
        elif mode == "symmetric":  # turn on the spot: the last value is met twice
            step = -step
        elif mode == "reflect":
            step = -step
            place += step if n > 1 else 0
        else:
            return None
    return place


def pads_of(word, n, k, s, d):
    """(before, after) of a padding word, for n values, k taps, stride s and dilation d."""
    reach = d * (k - 1)
    if word == "valid":
        return 0, 0
    if word == "full":
        return reach, reach
    total = reach
    if word != "same":  # the least that gives ceil(n / s) positions
        total = next(t for t in range(reach + s + 1) if len(range(0, n + t - reach, s)) >= math.ceil(n / s))
    less, more = total // 2, total - total // 2
    return (more, less) if word == "same_lower" else (less, more)


def convolution(x, w, bias, stride, pads, dilation, groups=1, mode="zeros", value=0, flip=False):
    """x (N, C, sizes...), w (O, CG, taps...), bias (O,) or None; the rest is one entry per axis.

    Returns the shape (N, O, positions...) and two flat lists in its order: the exact sums, and
    sum |w||x| + |bias|, to which the error promise is relative.  The zeros of a border are skipped.
    """
    N, C, *sizes = x.shape
    O, CG, *taps = w.shape
    x, w, value = x.tolist(), w.tolist(), exact(value)
    offsets = [0] * O if bias is None else [exact(b) for b in bias.tolist()]
    mode = ALIASES.get(mode, mode)
    lines, starts = [], []
    for n, k, s, (before, after), d in zip(sizes, taps, stride, pads, dilation, strict=True):
        lines.append([source(i - before, n, mode) for i in range(before + n + after)])
        starts.append(range(0, before + n + after - d * (k - 1), s))

    sums, bounds = [], []
    for n, o, start in product(range(N), range(O), product(*starts)):
        total, bound = offsets[o], abs(offsets[o])
        for c, tap in product(range(CG), product(*map(range, taps))):
            place = [line[i + t * d] for line, i, t, d in zip(lines, start, tap, dilation, strict=True)]
            if None in place and value == 0:
                continue
            channel = o // (O // groups) * CG + c
            number = value if None in place else exact(at(x, [n, channel, *place]))
            if flip:
                tap = [k - 1 - t for k, t in zip(taps, tap, strict=True)]
            term = exact(at(w, [o, c, *tap])) * number
            total, bound = total + term, bound + abs(term)
        sums.append(total)
        bounds.append(bound)
    return (N, O, *map(len, starts)), sums, bounds


def transposed(x, w, bias, stride, pads, dilation, sizes, groups=1):
    """x (N, C, positions...), w (C, OG, taps...): each value, times the kernel, is added where its taps lie.

    Returns the shape (N, O, sizes...) and two flat lists in its order, as `convolution`.
    """
    N, C, *positions = x.shape
    _, OG, *taps = w.shape
    x, w = x.tolist(), w.tolist()
    offsets = [0] * (OG * groups) if bias is None else [exact(b) for b in bias.tolist()]
    sums = {(n, o, *p): offsets[o] for n, o, *p in product(range(N), range(OG * groups), *map(range, sizes))}
    bounds = {place: abs(value) for place, value in sums.items()}
    for n, c, place, og, tap in product(range(N), range(C), product(*map(range, positions)), range(OG), product(*map(range, taps))):
        to = [i * s - before + t * d for i, s, (before, _), t, d in zip(place, stride, pads, tap, dilation, strict=True)]
        o = c // (C // groups) * OG + og
        if (n, o, *to) in sums:
            term = exact(at(x, [n, c, *place])) * exact(at(w, [c, og, *tap]))
            sums[n, o, *to] += term
            bounds[n, o, *to] += abs(term)
    return (N, OG * groups, *sizes), list(sums.values()), list(bounds.values())


def at(nested, index):
    """nested[index[0]][index[1]]..."""
    for i in index:
        nested = nested[i]
    return nested


def promise(eps, bound):
    """How far a result may lie from the exact one; `bound` is sum |w||x| + |bias|."""
    return 16 * Fraction(float(eps)) * bound


def saturated(number, low, high):
    """Rounded half to even (as Python's round does), then no less than low, no more than high."""
    return min(max(round(number), low), high)
