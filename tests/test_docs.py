"""Every example in docstrings, README and docs runs and prints what it says."""

import doctest
import importlib
import inspect
import os
import pkgutil
from pathlib import Path

import pytest

import cconv

ROOT = Path(__file__).resolve().parents[1]
MODULES = [m.name for m in pkgutil.iter_modules(cconv.__path__) if m.name != "__main__"]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    module = importlib.import_module(f"cconv.{name}")
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("path", ["README.md", "docs/lecture.md", "docs/layers.md"])
def test_examples_in_the_text(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the examples write pictures
    result = doctest.testfile(str(ROOT / path), module_relative=False, encoding="utf-8")
    assert result.attempted > 5 and result.failed == 0


def public_functions():
    for name in cconv.__all__:
        thing = getattr(cconv, name)
        if inspect.isfunction(thing):
            yield name, thing
    yield from ((f"kernels.{name}", f) for name, f in cconv.kernels.NAMED.items())


@pytest.mark.parametrize("name, function", list(public_functions()))
def test_public_docstrings_have_shapes_and_an_example(name, function):
    doc = inspect.getdoc(function)
    assert "Examples\n--------\n>>> " in doc
    if inspect.signature(function).parameters:
        assert "Parameters\n----------" in doc
        for parameter in inspect.signature(function).parameters:
            assert parameter in doc, f"{name} does not describe {parameter}"
    if inspect.signature(function).return_annotation not in ("None", "int"):
        assert "Returns\n-------" in doc


def test_pictures_that_the_text_shows_exist():
    import re

    for path in ("README.md", "docs/lecture.md", "docs/layers.md"):
        for target in re.findall(r"!?\[[^\]]*\]\(([^)#:]+)\)", (ROOT / path).read_text(encoding="utf-8")):
            assert os.path.exists((ROOT / path).parent / target), f"{path} links {target}"
