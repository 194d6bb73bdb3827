"""Where cconv's headers and sources are, for the setup.py of other projects (docs/embedding.md)."""

import os

PACKAGE = os.path.dirname(os.path.abspath(__file__))
TOGETHER = "cconv.c"  # includes all the others


def get_include() -> str:
    """The folder for ``include_dirs`` of an extension that cimports cconv, or includes ``cconv_api.h`` or ``core/cconv.h``.

    Returns
    -------
    str

    Examples
    --------
    >>> import os, cconv
    >>> os.path.exists(os.path.join(cconv.get_include(), "core", "cconv.h"))
    True
    """
    return PACKAGE


def get_sources() -> list[str]:
    """The C files of the core, for ``sources`` of an extension that compiles cconv in.

    Returns
    -------
    list of str
        All that are needed; ``core/cconv.c``, which includes all of them, is not among them.

    Examples
    --------
    >>> import cconv
    >>> len(cconv.get_sources()) > 10
    True
    """
    core = os.path.join(PACKAGE, "core")
    return [os.path.join(core, name) for name in sorted(os.listdir(core)) if name.endswith(".c") and name != TOGETHER]
