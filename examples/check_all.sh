#!/usr/bin/env bash
# Builds the four projects here as their readers would, with the cconv whose wheel lies in a folder, and runs what they check:
#
#     examples/check_all.sh DIST_FOLDER
#
# Each is copied out of the checkout and installed into a fresh virtual environment; the two that carry a copy of cconv get it from a cconv
# that is installed elsewhere.  At the end all of them run in one process.
set -euo pipefail
[ $# = 1 ] && ls "$1"/cconv-*.whl >/dev/null 2>&1 || { echo "usage: check_all.sh DIST_FOLDER, which holds cconv's wheel" >&2; exit 2; }
dist=$(cd "$1" && pwd)
examples=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
unset PYTHONPATH
export PIP_DISABLE_PIP_VERSION_CHECK=1
cd "$scratch"

fresh() { python3 -m venv "$scratch/env-$1"; }
install() { "$scratch/env-$1/bin/pip" install -qq --find-links "$dist" "${@:2}"; }
copy() { cp -r "$examples/$1" "$scratch/$1" && rm -rf "$scratch/$1"/{build,*.egg-info,*.so,cconv_core,blur/_cconv}; }
refuses() {                         # without its copy of cconv an example must say which command makes it
    if (install "$1" --no-deps "$scratch/$1") >"$scratch/log" 2>&1 || ! grep -q "first run in this folder: cconv vendor" "$scratch/log"; then
        cat "$scratch/log" && echo "$1 does not say that its copy of cconv is missing" && exit 1
    fi
}
check() { "$scratch/env-$1/bin/python" -P "$scratch/$2/check.py"; }

fresh tool
install tool "$dist"/cconv-*.whl "setuptools>=77" "Cython>=3.1"
cconv=$scratch/env-tool/bin/cconv

for name in cimport capi vendored_c vendored_cython; do
    copy $name
    fresh $name
    case $name in
    vendored_c)
        refuses $name
        (cd $name && "$cconv" vendor cconv_core --prefix demo_ >/dev/null)
        install $name "./$name[check]" ;;
    vendored_cython)
        refuses $name
        (cd $name && "$cconv" vendor blur --python-package _cconv >/dev/null)
        install $name ./$name ;;
    *)  install $name ./$name ;;
    esac
    check $name $name
done

# All in one process, with the symbols of every module open to the others, which Python does not do by itself: copies must not meet even so.
touch vendored_cython/blur/planes.pyx       # with OpenMP this time; nothing else is compiled again
BLUR_OPENMP=1 install tool --no-build-isolation ./capi ./vendored_c ./vendored_cython
"$scratch/env-tool/bin/python" -P - <<'END'
import ctypes
import os
import sys
from concurrent.futures import ThreadPoolExecutor

if hasattr(sys, "setdlopenflags"):
    sys.setdlopenflags(os.RTLD_NOW | os.RTLD_GLOBAL)

import numpy as np

import cconv
import filter2d
import layer
import blur

random = np.random.default_rng(0)
picture, kernel = random.standard_normal((120, 150), np.float32), random.standard_normal((5, 5), np.float32)
wanted = {mode: cconv.correlate(picture, kernel, padding="same", padding_mode=mode) for mode in ("edge", "zeros", "reflect")}


def capi():
    return filter2d.correlate(picture, kernel, np.empty_like(picture)), wanted["edge"]


def vendored_c():
    out = np.empty((1, 1, *picture.shape), np.float32)
    layer.conv2d(picture[None, None], kernel[None, None], np.zeros(1, np.float32), out, 2, 2)
    return out[0, 0], np.maximum(wanted["zeros"], 0)


def vendored_cython():
    out = np.empty((3, *picture.shape), np.float32)
    blur.planes.correlate(np.stack([picture] * 3), kernel, out, 2)
    return out, np.stack([wanted["reflect"]] * 3)


def vendored_python():
    return blur._cconv.correlate(picture, kernel, padding="same", padding_mode="edge"), wanted["edge"]


limit = 32 * np.finfo(np.float32).eps * abs(picture).max() * abs(kernel).sum()
ways = [capi, vendored_c, vendored_cython, vendored_python] * 10
with ThreadPoolExecutor(4) as pool:
    for way, (found, right) in zip(ways, pool.map(lambda way: way(), ways), strict=True):
        if found.shape != right.shape or not (abs(found - right) <= limit).all():
            raise SystemExit(f"together: {way.__name__} differs from the installed cconv")
if blur._cconv.engine is cconv.engine:
    raise SystemExit("together: blur uses the installed cconv")
if os.name == "posix":
    for name in ("cconv_run", "demo_cconv_run", "cconv_plan_init", "demo_cconv_plan_init"):
        if hasattr(ctypes.CDLL(None), name):
            raise SystemExit(f"together: a module shows {name} to the others")
print(f"together: {len(ways)} runs of {len(set(ways))} ways in one process, at once, are those of the installed cconv {cconv.__version__}")
END
