"""The C core by itself: tests/core_test.c with sanitizers and on another CPU, warnings, spills, symbols."""

import os
import platform
import re
import shutil
import subprocess
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
    assert len(neon.splitlines()) == 65     # algorithms x types of the sums x types of the output, and the gradient's
    fused = [isa for isa in run(programs["here"], "--list").stdout.split() if isa != "generic"]
    if not fused:
        pytest.skip("this CPU has neither avx2 nor avx512 to compare neon with")
    for isa in fused:
        assert run(programs["here"], "--digest", isa).stdout == neon, f"{isa} and neon differ"


@pytest.mark.parametrize("compiler", COMPILERS)
def test_no_warnings(compiler):
    needs(compiler)
    flags = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
    for source in SOURCES:
        run(compiler, *COMMON, *flags, "-fsyntax-only", source)


FUNCTION = re.compile(r"^[0-9a-f]+ <([^>]+)>:$")
LINE = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*)$")


def spills(disassembly):
    """Functions taps_*, rows_*, over_* and outer_*: how many vectors their loops of vfmadd move to or from the stack."""
    functions, found = {}, {}
    for line in disassembly.splitlines():
        if match := FUNCTION.match(line):
            body = functions.setdefault(match[1], [])
        elif match := LINE.match(line):
            body.append((int(match[1], 16), match[2], match[3].split("#")[0]))
    for name, body in functions.items():
        if not name.startswith(("taps_", "rows_", "over_", "outer_")):
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


def test_symbols(optimised):
    needs(COMPILERS[0], "nm")
    objects = optimised(COMPILERS[0])
    names = {line.split()[-1] for line in run("nm", "-g", "--defined-only", *objects).stdout.splitlines()
             if len(line.split()) == 3}
    assert "cconv_run" in names and not {n for n in names if not n.startswith("cconv_")}
