"""cconv for other projects: headers, sources, copies.  The example projects are built and run by examples/check_all.sh."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import cconv
from cconv import cli, vendor

ROOT = Path(__file__).parents[1]


def test_headers_and_sources_are_installed():
    include = Path(cconv.get_include())
    for name in ("cconv_api.h", "core/cconv.h", "engine.pxd", "loop.pxd", "__init__.pxd"):
        assert (include / name).is_file()
    sources = [Path(p) for p in cconv.get_sources()]
    assert all(p.is_file() for p in sources) and len({p.name for p in sources}) == len(sources)
    together = (include / "core" / "cconv.c").read_text()
    assert sorted(p.name for p in sources) == sorted(line.split('"')[1] for line in together.splitlines() if line.startswith("#include"))
    if (ROOT / "LICENSE").exists():
        assert (include / "core" / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_every_function_can_be_called_through_the_capsule():
    """A member of the table, a macro, and a function of engine.pxd for each function of cconv.h; of cconv_abi a value."""
    include = Path(cconv.get_include())
    header = (include / "core" / "cconv.h").read_text()
    declared = set(re.findall(r"^(?!static inline)\w[\w *]*?cconv_(\w+)\(", header, re.MULTILINE))
    api = (include / "cconv_api.h").read_text()
    assert "prepare" in declared
    assert declared - {"abi"} == set(re.findall(r"\(\*(\w+)\)\(", api)) == set(re.findall(r"^#define cconv_(\w+)\(", api, re.MULTILINE))
    functions = set(re.findall(r"^cdef [\w *]*?(\w+)\(.*noexcept nogil$", (include / "engine.pxd").read_text().replace(",\n", ","), re.MULTILINE))
    assert declared - {"version", "isa_name", "isa_list"} == functions      # which Python has


def test_the_header_says_the_version():
    header = (Path(cconv.get_include()) / "core" / "cconv.h").read_text()
    assert f'#define CCONV_VERSION "{cconv.__version__}"' in header and vendor.PREFIX_LINE in header


def run(*words):
    return cli.main([str(w) for w in words])


def test_a_copy_of_the_core(tmp_path, capsys):
    copy = tmp_path / "third_party" / "cconv"
    assert run("vendor", copy, "--prefix", "mylib_") == 0
    assert "Extension(" in capsys.readouterr().out
    assert "#define CCONV_PREFIX mylib_\n" in (copy / "cconv.h").read_text() and (copy / "LICENSE").exists()
    assert not list(copy.glob("*.py*"))
    assert run("vendor", "--check", copy) == 0 and "prefix mylib_, intact, current" in capsys.readouterr().out
    (copy / "plan.c").write_text("int x;\n")
    (copy / "rows.c").unlink()
    assert run("vendor", "--check", copy) == 1
    assert "changed, current\n  plan.c is changed\n  rows.c is missing" in capsys.readouterr().out
    assert run("vendor", copy) == 1 and (copy / "plan.c").read_text() == "int x;\n"        # nothing is lost
    assert "plan.c is changed; rows.c is missing; pass --force" in capsys.readouterr().err
    assert run("vendor", copy, "--force") == 0 and run("vendor", "--check", copy) == 0
    record = copy / vendor.RECORD
    record.write_text(record.read_text().replace(f"version: {cconv.__version__}", "version: 0.0.9").replace(" box.c", " old.c"))
    (copy / "old.c").write_bytes((copy / "box.c").read_bytes())
    assert run("vendor", "--check", copy) == 1 and "cconv 0.0.9, intact, not what cconv" in capsys.readouterr().out
    assert run("vendor", copy) == 0 and not (copy / "old.c").exists()      # a file that is no more goes with its copy
    (copy / "plan.c").write_bytes((copy / "plan.c").read_bytes().replace(b"\n", b"\r\n"))
    assert run("vendor", "--check", copy) == 0      # version control may turn line ends


def test_a_copy_of_the_package(tmp_path, capsys):
    assert run("vendor", tmp_path, "--python-package", "_cconv") == 0
    assert "cythonize([" in capsys.readouterr().out
    assert (tmp_path / "_cconv" / "core" / "cconv.c").exists() and (tmp_path / "_cconv" / "engine.pxd").exists()
    assert run("vendor", "--check", tmp_path, "--python-package", "_cconv") == 0


@pytest.mark.parametrize("words, text", [
    (("vendor", "{}/full"), "holds something else; name a folder of its own, or pass --force"),
    (("vendor", "{}/full/file"), "is a file; want a folder"),
    (("vendor", "{}/new", "--prefix", "3x"), "--prefix 3x is no beginning of a C name"),
    (("vendor", "{}/new", "--python-package", "a-b"), "--python-package a-b is no name of a package"),
    (("vendor", "--check", "{}/full"), "holds no VENDORED.txt: it is no copy"),
    (("vendor", "--check", "{}/damaged"), "VENDORED.txt is damaged"),
])  # fmt: skip
def test_refusals(tmp_path, capsys, words, text):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / vendor.RECORD).write_text("# version: 0.1.0\n")
    assert run(*(w.format(tmp_path) for w in words)) == 1
    error = capsys.readouterr().err
    assert text in error and error.count("\n") == 1
    assert (tmp_path / "full" / "file").read_text() == "mine" and not (tmp_path / "new").exists()


def test_another_abi_is_refused(tmp_path):
    """The table begins with its size and its number; Cython's own check of signatures is not all."""
    code = "from cconv import engine; import ctypes\n" \
           "get = ctypes.pythonapi.PyCapsule_GetPointer; get.restype = ctypes.c_void_p; get.argtypes = ctypes.py_object, ctypes.c_char_p\n" \
           "at = get(engine._C_API, b'cconv.engine._C_API')\n" \
           "print(ctypes.c_size_t.from_address(at).value, ctypes.c_int.from_address(at + ctypes.sizeof(ctypes.c_size_t)).value)"
    out = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, env={**os.environ}).stdout
    size, abi = (int(word) for word in out.split())
    assert size >= 15 * 8 and abi == 1


COMPILER = next(filter(shutil.which, [*(sysconfig.get_config_var("CC") or "cc").split()[:1], "cc", "gcc", "clang"]), None)
CAPI = """
#include <Python.h>
#include "cconv_api.h"
static struct PyModuleDef module = {.m_base = PyModuleDef_HEAD_INIT, .m_name = "guest"};
PyMODINIT_FUNC PyInit_guest(void) { return import_cconv() < 0 ? NULL : PyModule_Create(&module); }
"""


@pytest.mark.skipif(os.name != "posix" or not COMPILER, reason="no compiler that takes -shared")
@pytest.mark.parametrize("way, abi, flags, error", [
    ("capsule", 1, [], None),
    ("cimport", 1, [], None),
    ("capsule", 2, [], "this module was compiled with cconv's ABI 2; the cconv that is installed has 1: build it again"),
    ("cimport", 2, [], "this module was compiled with cconv's ABI 2; the cconv that is installed has 1: build it again"),
    ("capsule", 1, ['-DCCONV_CAPSULE="cconv.engine._OLD"'],
     f"cconv.engine._OLD is missing: the cconv that is installed is too old; want {cconv.__version__}"),
], ids=["capsule, the same", "cimport, the same", "capsule, another", "cimport, another", "no capsule"])  # fmt: skip
def test_a_module_that_was_compiled_with_another_abi_is_refused(tmp_path, way, abi, flags, error):
    """Compiled with a copy of the headers in which one number is changed, as they would be of another version."""
    headers = tmp_path / "headers"
    (headers / "core").mkdir(parents=True)
    for name in ("cconv_api.h", "core/cconv.h"):
        text = (Path(cconv.get_include()) / name).read_text()
        assert ("#define CCONV_ABI 1\n" in text) == (name == "core/cconv.h")
        (headers / name).write_text(text.replace("#define CCONV_ABI 1\n", f"#define CCONV_ABI {abi}\n"))
    if way == "capsule":
        (tmp_path / "guest.c").write_text(CAPI)
    else:
        (tmp_path / "guest.pyx").write_text("from cconv cimport engine\nengine.import_cconv()\n")
        subprocess.run([sys.executable, "-P", "-m", "cython", "-3", "guest.pyx"], cwd=tmp_path, check=True)
    undefined = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
    includes = [f"-I{headers}", f"-I{sysconfig.get_path('include')}"]
    module = f"guest{sysconfig.get_config_var('EXT_SUFFIX')}"
    subprocess.run([COMPILER, "-shared", "-fPIC", "-w", *undefined, *flags, *includes, "guest.c", "-o", module], cwd=tmp_path, check=True)
    done = subprocess.run([sys.executable, "-c", "import guest"], cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = done.stderr.splitlines()
    if error:
        assert done.returncode == 1 and lines[-1] == f"ImportError: {error}"
    else:
        assert done.returncode == 0 and not lines, done.stderr
