"""Builds the compiled modules; everything else about the package is in pyproject.toml.

CCONV_CHECKED=1 builds with Cython's bounds checks on, for the tests.
"""

import os
import sys
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

checked = os.environ.get("CCONV_CHECKED", "0") not in ("", "0")

if sys.platform == "win32":
    flags = ["/O2"]
else:
    # -O2: -O3 makes the modules a third larger and nothing faster (measured; loop.pyx and core/isa_*.c ask for the vectoriser themselves);
    # no contraction, so that every CPU rounds alike; -g0 undoes Python's own -g, which makes the module five times as large; no
    # C++ exception passes through it, so the tables for that, another twentieth, are left out.
    flags = ["-O2", "-g0", "-ffp-contract=off", "-fvisibility=hidden", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"]

# Names that nobody looks up are a tenth of the module, and a page of its own for each kind of section a hundredth; the core needs the
# mathematics of C where that is a library of its own.
strip = ["-Wl,--strip-all", "-Wl,-z,noseparate-code"] if sys.platform == "linux" else []
libraries = [] if sys.platform == "win32" else ["m"]
core = sorted(set(glob("cconv/core/*.c")) - {os.path.join("cconv", "core", "cconv.c")})   # that one is all of them
headers = sorted([*glob("cconv/core/*.h"), *glob("cconv/*.h"), *glob("cconv/*.pxd")])
macros = [("CCONV_CHECKED", "1")] if checked else []

setup(
    ext_modules=cythonize(
        [
            Extension(
                "cconv.loop",
                ["cconv/loop.pyx"],
                extra_compile_args=flags,
                extra_link_args=strip,
                define_macros=macros,
            ),
            Extension(
                "cconv.engine",
                ["cconv/engine.pyx", *core],
                depends=headers,
                include_dirs=["cconv"],
                libraries=libraries,
                extra_compile_args=flags,
                extra_link_args=strip,
                define_macros=macros,
            ),
        ],
        build_dir="build",
        compiler_directives={
            "language_level": 3,
            "binding": True,
            "autotestdict": False,
            "freethreading_compatible": True,
            "boundscheck": checked,
            "initializedcheck": checked,
            "wraparound": False,
            "cdivision": not checked,
        },
        force=checked,
    )
)
