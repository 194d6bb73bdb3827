import os
import sys

from Cython.Build import cythonize
from setuptools import Extension, setup

if not os.path.exists("blur/_cconv/engine.pyx"):
    sys.exit("blur/_cconv is missing; first run in this folder: cconv vendor blur --python-package _cconv")

# prange starts threads where the compiler knows OpenMP and is told so; else it is a plain loop
openmp = ["-fopenmp"] if os.environ.get("BLUR_OPENMP") == "1" else []
windows = sys.platform == "win32"
# no contraction, so that every CPU rounds alike; -g0 undoes Python's own -g, with which the module is eight times as large
flags = [] if windows else ["-g0", "-ffp-contract=off", "-fvisibility=hidden"]

cconv = cythonize(
    [
        Extension("blur._cconv.loop", ["blur/_cconv/loop.pyx"], extra_compile_args=[] if windows else ["-O3", *flags]),
        Extension(
            "blur._cconv.engine", ["blur/_cconv/engine.pyx", "blur/_cconv/core/cconv.c"], include_dirs=["blur/_cconv"],
            libraries=[] if windows else ["m"], extra_compile_args=[] if windows else ["-O2", *flags],
        ),
    ],
    compiler_directives={"boundscheck": False, "initializedcheck": False, "wraparound": False, "cdivision": True, "freethreading_compatible": True},
)
own = cythonize(
    [Extension("blur.planes", ["blur/planes.pyx"], include_dirs=["blur/_cconv"], extra_compile_args=openmp, extra_link_args=openmp)]
)
setup(ext_modules=cconv + own)
