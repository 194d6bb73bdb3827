import cconv
from setuptools import Extension, setup

setup(ext_modules=[Extension("filter2d", ["filter2d.c"], include_dirs=[cconv.get_include()])])
