"""Copies of cconv inside other projects: `cconv vendor` (docs/embedding.md)."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple

from .embed import TOGETHER

PACKAGE = Path(__file__).parent
RECORD = "VENDORED.txt"
LIBRARIES = '[] if sys.platform == "win32" else ["m"]'
FLAGS = '[] if sys.platform == "win32" else ["-O2", "-ffp-contract=off", "-fvisibility=hidden"]'
PREFIX_LINE = "/* #define CCONV_PREFIX mylib_ */"


class Copy(NamedTuple):
    """What a folder with a copy holds, by its record."""

    version: str
    prefix: str  # of symbols
    package: str  # name of the private package, or of nothing
    digests: dict[str, str]


def vendor(dest: str | os.PathLike[str], prefix: str = "", package: str = "", force: bool = False) -> list[str]:
    """Copy the core into the folder `dest`, or the whole package as `dest`/`package`; returns what to add to setup.py.

    A folder that holds something else, or a copy that somebody has changed, is left alone unless `force`.
    """
    folder = Path(dest)
    if prefix and not re.fullmatch(r"[A-Za-z_]\w*", prefix, re.ASCII):
        raise ValueError(f"--prefix {prefix} is no beginning of a C name; want letters, digits and _, like mylib_")
    if package and not package.isidentifier():
        raise ValueError(f"--python-package {package} is no name of a package; want one like _cconv")
    target = folder / package if package else folder
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"{target} is a file; want a folder")
    if target.is_dir() and any(target.iterdir()) and not force:
        if not (target / RECORD).exists():
            raise FileExistsError(f"{target} holds something else; name a folder of its own, or pass --force to write into it")
        changed = differences(target, read_record(target).digests)
        if changed:
            raise FileExistsError(f"{target} was changed: {'; '.join(changed)}; pass --force to overwrite that")
    files = _files(prefix, bool(package))
    if (target / RECORD).exists():
        for name in set(read_record(target).digests) - set(files):
            (target / name).unlink(missing_ok=True)
    for name, content in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (target / RECORD).write_text(_record(files, prefix, package), encoding="utf-8")
    return _package_lines(target) if package else _core_lines(target)


def check(dest: str | os.PathLike[str]) -> tuple[Copy, list[str], bool]:
    """What a copy is, what was changed in it, and whether the installed cconv would write the same."""
    folder = Path(dest)
    copy = read_record(folder)
    current = {name: _digest(content) for name, content in _files(copy.prefix, bool(copy.package)).items()}
    return copy, differences(folder, copy.digests), current == copy.digests


def read_record(folder: Path) -> Copy:
    """Of a copy."""
    try:
        text = (folder / RECORD).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileNotFoundError(f"{folder} holds no {RECORD}: it is no copy that `cconv vendor` made") from None
    fields = dict(re.findall(r"^# (version|prefix|package): (.*)$", text, re.MULTILINE))
    digests = {name: digest for digest, name in re.findall(r"^([0-9a-f]{64})  (.+)$", text, re.MULTILINE)}
    if "version" not in fields or not digests:
        raise ValueError(f"{folder / RECORD} is damaged: pass --force to `cconv vendor {folder}` to write it anew")
    return Copy(fields["version"], fields.get("prefix", "").strip(), fields.get("package", "").strip(), digests)


def differences(folder: Path, digests: dict[str, str]) -> list[str]:
    """What is not as it was copied, a phrase each."""
    found = []
    for name, digest in sorted(digests.items()):
        path = folder / name
        if not path.exists():
            found.append(f"{name} is missing")
        elif _digest(path.read_bytes()) != digest:
            found.append(f"{name} is changed")
    return found


def _files(prefix: str, whole: bool) -> dict[str, bytes]:
    """What a copy is made of, by name."""
    if whole:
        patterns = ["*.py", "*.pyi", "*.pyx", "*.pxd", "*.h", "py.typed", "sample.jpg", "core/*.c", "core/*.h", "core/LICENSE"]
        base = PACKAGE
    else:
        patterns, base = ["*.c", "*.h", "LICENSE"], PACKAGE / "core"
    files = {path.relative_to(base).as_posix(): path.read_bytes() for pattern in patterns for path in sorted(base.glob(pattern))}
    header = "core/cconv.h" if whole else "cconv.h"
    if prefix:
        text = files[header].decode()
        if PREFIX_LINE not in text:
            raise ValueError(f"{PACKAGE / 'core' / 'cconv.h'} has a prefix already: copy from an installed cconv")
        files[header] = text.replace(PREFIX_LINE, f"#define CCONV_PREFIX {prefix}").encode()
    return files


def _digest(content: bytes) -> str:
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()  # version control may turn line ends


def _record(files: dict[str, bytes], prefix: str, package: str) -> str:
    from . import __version__

    lines = [
        "# cconv, copied by `cconv vendor`; do not edit: `cconv vendor --check` says what was changed and whether there is a newer one.",
        f"# version: {__version__}", f"# prefix: {prefix}", f"# package: {package}",
    ]  # fmt: skip
    return "\n".join([*lines, *(f"{_digest(content)}  {name}" for name, content in sorted(files.items()))]) + "\n"


def _core_lines(target: Path) -> list[str]:
    where = _in_setup(target)
    return [
        f'Extension("yours", ["yours.c", "{where}/{TOGETHER}"], include_dirs=["{where}"],',
        f'          libraries={LIBRARIES}, extra_compile_args={FLAGS})',
    ]


def _package_lines(target: Path) -> list[str]:
    where = _in_setup(target)
    name = where.replace("/", ".")
    return [
        "ext_modules=cythonize([",
        f'    Extension("{name}.loop", ["{where}/loop.pyx"], extra_compile_args={FLAGS}),',
        f'    Extension("{name}.engine", ["{where}/engine.pyx", "{where}/core/{TOGETHER}"], include_dirs=["{where}"],',
        f'              libraries={LIBRARIES}, extra_compile_args={FLAGS}),',
        '], compiler_directives={"boundscheck": False, "initializedcheck": False, "wraparound": False, "cdivision": True, "freethreading_compatible": True}),',
        f'packages=[..., "{name}"], package_data={{"{name}": ["py.typed", "*.pyi", "sample.jpg", "core/LICENSE"]}},',
    ]


def _in_setup(target: Path) -> str:
    """The folder as setup.py, in the folder where the command runs, would call it."""
    try:
        return target.absolute().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return target.as_posix()
