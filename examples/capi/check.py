"""Compares the module with cconv's own Python function."""

import cconv
import filter2d
import numpy as np

random = np.random.default_rng(0)
base = random.standard_normal((90, 140), np.float32)
pictures = {"dense": base, "turned round": base[::-1, ::-1], "transposed": base.T, "every third column": base[:, ::3]}
for name, picture in pictures.items():
    for size in ((3, 3), (5, 4), (1, 9)):
        kernel = random.standard_normal(size, np.float32)
        out = np.full((picture.shape[0], 2 * picture.shape[1]), np.nan, np.float32)[:, ::2]  # with gaps
        filter2d.correlate(picture, kernel, out)
        wanted = cconv.correlate(picture, kernel, padding="same", padding_mode="edge")
        limit = 16 * np.finfo(np.float32).eps * cconv.correlate(abs(picture), abs(kernel), padding="same", padding_mode="edge")
        if not (abs(out - wanted) <= limit).all():
            raise SystemExit(f"capi: {name}, kernel {size}: differs from cconv.correlate by {abs(out - wanted).max():.3g}")

picture, kernel, out = base.copy(), np.ones((3, 3), np.float32), np.empty_like(base)
frozen = out.copy()
frozen.flags.writeable = False
for why, wrong in {
    "an output that is the input": (picture, kernel, picture),
    "an output that is too small": (picture, kernel, out[1:]),
    "an output that is read-only": (picture, kernel, frozen),
    "float64": (picture.astype(float), kernel, out),
    "three axes": (picture[None], kernel, out),
    "a kernel without taps": (picture, kernel[:, :0], out),
    "an empty picture": (picture[:0], kernel, out[:0]),
}.items():
    try:
        filter2d.correlate(*wrong)
    except ValueError:
        continue
    raise SystemExit(f"capi: {why} was accepted")

print(f"capi: {len(pictures)} layouts are those of cconv {cconv.__version__}, and what is wrong is refused")
