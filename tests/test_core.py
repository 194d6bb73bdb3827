"""The C core by itself: tests/core_test.c with sanitizers and on another CPU, warnings, spills, symbols."""

import os
import platform
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "cconv" / "core"
SOURCES = sorted(set(CORE.glob("*.c")) - {CORE / "cconv.c"})     # that one is all of them
TEST = ROOT / "tests" / "core_test.c"
ARM = "aarch64-linux-gnu-gcc"
COMMON = ["-std=c11", "-ffp-contract=off", f"-I{CORE}"]     # no contraction: as setup.py compiles
COMPILERS = ["gcc" if shutil.which("gcc") else "cc", "clang"]
# Arithmetic of pointers and access through them is most of what the kernels do: watching each multiplies
# their compile time by eight, and the pages around every buffer watch them too.
KERNELS_ONLY = ["-fsanitize=undefined", "-fno-sanitize=alignment,null,pointer-overflow"]
SANITIZE = ["-fsanitize=address,undefined"]
X86 = platform.machine().lower() in ("x86_64", "amd64")


def needs(*programs):
    missing = [p for p in programs if not shutil.which(p)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def run(*words, timeout=300, check=True):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=timeout)
    if check:
        assert done.returncode == 0, f"{done.args}\n{done.stdout[-4000:]}\n{done.stderr[-8000:]}"
    return done


def compile_all(where, compiler, sources, flags, flags_of=lambda source: []):
    """Objects of the sources, two at a time."""
    def one(source):
        out = where / f"{source.stem}.o"
        run(compiler, *COMMON, *flags, *flags_of(source), "-c", source, "-o", out)
        return out

    where.mkdir(exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:      # the longest first
        return list(pool.map(one, sorted(sources, key=lambda s: "512" not in s.name)))


def compile_one(where, compiler, flags):
    """All of it as one object, of the file that includes the others."""
    where.mkdir()
    run(compiler, f"-I{CORE}", *flags, "-c", CORE / "cconv.c", "-o", where / "cconv.o")
    return [where / "cconv.o"]


@pytest.fixture(scope="module")
def optimised(tmp_path_factory):
    """The core's objects by compiler, as they are installed; compiled once."""
    made = {}

    def objects(compiler):
        if compiler not in made:
            made[compiler] = compile_all(tmp_path_factory.mktemp(compiler), compiler, SOURCES, ["-O2"])
        return made[compiler]

    return objects


@pytest.mark.skipif(os.name != "posix", reason="core_test.c needs mmap")
@pytest.mark.parametrize("compiler", COMPILERS)
def test_sanitized(compiler, tmp_path):
    needs(compiler)
    probe = tmp_path / "probe.c"
    probe.write_text("int main(void) { return 0; }\n")
    linked = run(compiler, *SANITIZE, probe, "-o", tmp_path / "probe", check=False)
    if linked.returncode or run(tmp_path / "probe", check=False).returncode:
        pytest.skip(f"{compiler} has no sanitizer runtime that works here: {linked.stderr[-300:]}")
    flags = ["-O2", "-g", "-Wall", "-Wextra", "-Werror", "-fno-sanitize-recover=all"]
    objects = compile_all(tmp_path / "objects", compiler, [*SOURCES, TEST], flags,
                          lambda s: KERNELS_ONLY if s.name.startswith("isa_") else SANITIZE)
    run(compiler, *SANITIZE, *objects, "-o", tmp_path / "core_test", "-lm")
    seed = int.from_bytes(os.urandom(6))
    print(run(tmp_path / "core_test", seed, 2).stdout)


@pytest.mark.skipif(os.name != "posix", reason="core_test.c needs mmap")
def test_other_cpu_same_bits(optimised, tmp_path):
    needs(ARM, "qemu-aarch64", COMPILERS[0])
    programs = {"arm": tmp_path / "arm", "here": tmp_path / "here"}
    objects = compile_all(tmp_path / "objects", ARM, [*SOURCES, TEST], ["-O2"])
    run(ARM, "-static", *objects, "-o", programs["arm"], "-lm")
    run(COMPILERS[0], *COMMON, "-O2", TEST, *optimised(COMPILERS[0]), "-o", programs["here"], "-lm")
    print(run("qemu-aarch64", programs["arm"], "1", "40").stdout)
    neon = run("qemu-aarch64", programs["arm"], "--digest", "neon").stdout
    assert len(neon.splitlines()) == 67     # algorithms x types of the sums x types of the output, and the gradient's
    fused = [isa for isa in run(programs["here"], "--list").stdout.split() if isa != "generic"]
    if not fused:
        pytest.skip("this CPU has neither avx2 nor avx512 to compare neon with")
    for isa in fused:
        assert run(programs["here"], "--digest", isa).stdout == neon, f"{isa} and neon differ"


WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
CXX = ["-std=c++17", "-x", "c++"]


@pytest.mark.parametrize("compiler, language", [
    (COMPILERS[0], ["-std=c11"]), ("clang", ["-std=c11"]), ("g++", CXX), ("clang++", CXX),
], ids=["gcc", "clang", "g++", "clang++"])  # fmt: skip
def test_no_warnings(compiler, language):
    """Each file by itself and, as cconv.c, all of them as one translation unit."""
    needs(compiler)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda source: run(compiler, *language, *WARNINGS, "-fsyntax-only", source), [CORE / "cconv.c", *SOURCES]))


FUNCTION = re.compile(r"^[0-9a-f]+ <([^>]+)>:$")
LINE = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*)$")


def spills(disassembly):
    """Functions taps_*, edge_*, rows_*, over_* and outer_*: how many vectors their loops of vfmadd move to or from the stack."""
    functions, found = {}, {}
    for line in disassembly.splitlines():
        if match := FUNCTION.match(line):
            body = functions.setdefault(match[1], [])
        elif match := LINE.match(line):
            body.append((int(match[1], 16), match[2], match[3].split("#")[0]))
    for name, body in functions.items():
        if not name.startswith(("taps_", "edge_", "rows_", "over_", "outer_")):
            continue
        frame = any(op == "mov" and rest.strip() == "%rsp,%rbp" for _, op, rest in body)      # else %rbp is a register like others
        stack = re.compile(r"\(%r[sb]p[,)]" if frame else r"\(%rsp[,)]")
        jumps = [(int(m[1], 16), at) for at, op, rest in body
                 if op.startswith("j") and (m := re.match(r"([0-9a-f]+) <", rest)) and int(m[1], 16) < at]
        assert jumps, f"{name} has no loop: has the check gone blind?"
        # innermost loops only: others hold nothing that is done for each tap
        inner = [a for a in jumps if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in jumps)]
        for start, end in inner:
            loop = [(op, rest) for at, op, rest in body if start <= at <= end]
            if any(op.startswith("vfmadd") for op, _ in loop):
                count = sum(bool(stack.search(rest) and re.search(r"%[xyz]mm", rest)) for _, rest in loop)
                found[name] = found.get(name, 0) + count
    return found


# compiler, function: how many, at most, and why they are borne.
# clang 14, seen in rows_8_2 only: 4 moves for all classes of columns together; the longest has 112
# multiplications to a column.
KNOWN_SPILLS = {("clang", "rows_8_2_f32__avx512"): 4, ("clang", "rows_8_2_f64__avx512"): 4}


@pytest.mark.skipif(not X86, reason="reads x86 code")
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("isa", ["avx2", "avx512"])
def test_no_spills(compiler, isa, optimised):
    needs(compiler, "objdump")
    objects = [o for o in optimised(compiler) if o.stem == f"isa_{isa}"]
    found = spills(run("objdump", "-d", "--no-show-raw-insn", *objects).stdout)
    assert len([f for f in found if f.startswith("taps_")]) >= 8 and len([f for f in found if f.startswith("rows_")]) >= 8
    family = "clang" if "clang" in run(compiler, "--version").stdout else "gcc"
    new = {f: n for f, n in found.items() if n > KNOWN_SPILLS.get((family, f), 0)}
    assert not new, f"{compiler} moves vectors to or from the stack in the loops of {new}"


# What the core may ask of others: copying, comparing and mathematics.
ELSEWHERE = {
    "memcpy", "memmove", "memset", "memcmp", "strcmp", "cos", "sin", "sincos", "sqrt", "floor", "fmod", "fmax", "fmin", "rint", "fabs",
    "frexp", "ilogb", "ldexp", "log2", "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail",
}  # fmt: skip


def symbols(objects, *options):
    """Names of strong global symbols: what the mangling of C++ puts around one is taken off it."""
    lines = [line.split() for line in run("nm", "-g", *options, *objects).stdout.splitlines()]
    names = [line[-1] for line in lines if len(line) > 1 and line[-2] not in "VWvw"]
    return {re.sub(r"^_Z\d+(\w+?_cconv_|cconv_)", r"\1", name.removeprefix("_") if sys.platform == "darwin" else name) for name in names}


def test_symbols(optimised):
    """Nothing without the prefix, names.h lists all there is, and nothing is asked for that could allocate, lock or print."""
    needs(COMPILERS[0], "nm")
    objects = optimised(COMPILERS[0])
    names = symbols(objects, "--defined-only")
    assert "cconv_run" in names and not {n for n in names if not n.startswith("cconv_")}
    listed = set(re.findall(r"^#define (cconv_\w+) CCONV_JOIN", (CORE / "names.h").read_text(), re.MULTILINE))
    assert names - listed == set()
    assert {n for n in listed - names if not n.startswith("cconv_kernels__")} == set()        # those of other CPUs
    assert symbols(objects, "--undefined-only") - names <= ELSEWHERE


def test_prefix(optimised, tmp_path):
    """Every symbol has the prefix, as many files, as one and as C++; three copies in one program do not meet."""
    needs(COMPILERS[0], "g++", "nm")
    ways = {
        "mylib_": lambda where: compile_all(where, COMPILERS[0], SOURCES, ["-O0", "-DCCONV_PREFIX=mylib_"]),
        "other_": lambda where: compile_one(where, "g++", [*CXX, "-O0", "-DCCONV_PREFIX=other_"]),
    }
    linked = list(optimised(COMPILERS[0]))
    for prefix, compile_copy in ways.items():
        copy = compile_copy(tmp_path / prefix)
        names = symbols(copy, "--defined-only")
        assert f"{prefix}cconv_run" in names and not {n for n in names if not n.startswith(prefix)}
        linked += copy
    copies = ROOT / "tests" / "core_copies.c"
    callers = [["-DCOPY=run_plain"], ["-DCOPY=run_mylib", "-DCCONV_PREFIX=mylib_"], ["-DCOPY=run_other", "-DCCONV_PREFIX=other_"], ["-DMAIN"]]
    for i, defines in enumerate(callers):
        run(COMPILERS[0], *COMMON, *WARNINGS, *defines, "-c", copies, "-o", tmp_path / f"caller_{i}.o")
    run("g++", *(tmp_path / f"caller_{i}.o" for i in range(4)), *linked, "-o", tmp_path / "copies")
    assert run(tmp_path / "copies").stdout == "3 copies side by side\n"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="core_calls.c stands in for glibc's malloc")
def test_calls(optimised, tmp_path):
    """No allocation, counted; and what a call takes beside its kernel: 1.05 times on a quiet machine, which this one need not be."""
    needs(COMPILERS[0])
    run(COMPILERS[0], *COMMON, "-O2", "-fno-builtin", *WARNINGS, ROOT / "tests" / "core_calls.c", *optimised(COMPILERS[0]), "-o", tmp_path / "calls", "-lm")
    print(run(tmp_path / "calls").stdout)
    print(run(tmp_path / "calls", "--time", "1.25").stdout)


def code_of(path):
    """A source without its comments and, if C, without strings."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in (".c", ".h"):
        return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"(?!\s*\n)', " ", text, flags=re.DOTALL)
    return re.sub(r"#[^\n]*|('''|\"\"\").*?\1", " ", text, flags=re.DOTALL)


# What is said in one place only, and where; docs/design.md has the reasons.
RULES = {
    "Python in the core": ("cconv/core/*.[ch]", r"Python\.h|\bPy[A-Z_]\w*", set()),
    "intrinsics": ("cconv/core/*.[ch]", r"immintrin|arm_neon|\b_mm\d*_|\b__m\d+|\bv(ld|st)1q?_|\bfloat(32|64)x\d",
                   {"isa_avx2.c", "isa_avx512.c", "isa_neon.c", "isa_x86.inc.h"}),
    "memory in the core": ("cconv/core/*.[ch]", r"\b(malloc|calloc|realloc|free|alloca|mmap)\s*\(|stdlib\.h", set()),
    "threads in the core": ("cconv/core/*.[ch]", r"\bpthread|\bomp\b|threads\.h|_Thread_local|stdatomic", set()),
    "output in the core": ("cconv/core/*.[ch]", r"\b(printf|fprintf|puts|abort|exit|getenv|stdio\.h)\b", set()),
    "borders that repeat, in C": ("cconv/core/*.[ch]", r"\bCCONV_(EDGE|REFLECT|SYMMETRIC|WRAP)\b", {"load.c", "cconv.h"}),
    "borders that repeat, in Cython": ("cconv/*.pyx", r"\b(EDGE|REFLECT|SYMMETRIC|WRAP)\b", {"loop.pyx"}),
    "kernels turned round": ("cconv/*.py*", r"slice\(None, None, -1\)|np\.flip\w*|\[::-1, ::-1\]", {"images.py"}),
}


@pytest.mark.parametrize("rule", RULES)
def test_each_thing_has_one_place(rule):
    files, pattern, places = RULES[rule]
    found = {path.name for path in ROOT.glob(files) if re.search(pattern, code_of(path))}
    assert found <= places, f"{rule}: in {sorted(found - places)}"
    assert found or not places, f"{rule}: nowhere: has the check gone blind?"


def test_every_file_of_the_core_says_its_licence():
    files = [p for p in CORE.iterdir() if p.suffix in (".c", ".h")]
    assert len(files) > 30
    assert [p.name for p in files if "SPDX-License-Identifier: BSD-3-Clause" not in p.read_text(encoding="utf-8")[:200]] == []
