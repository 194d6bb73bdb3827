import os
import sys

from setuptools import Extension, setup

if not os.path.exists("cconv_core/cconv.c"):
    sys.exit("cconv_core is missing; first run in this folder: cconv vendor cconv_core --prefix demo_")

windows = sys.platform == "win32"
setup(
    ext_modules=[
        Extension(
            "layer",
            ["layer.c", "cconv_core/cconv.c"],
            include_dirs=["cconv_core"],
            libraries=[] if windows else ["m"],
            # no contraction, so that every CPU rounds alike; -g0 undoes Python's own -g, with which the module is eight times as large
            extra_compile_args=[] if windows else ["-O2", "-g0", "-ffp-contract=off", "-fvisibility=hidden", "-pthread"],
            extra_link_args=[] if windows else ["-pthread"],
        )
    ]
)
