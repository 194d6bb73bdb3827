import cconv
from Cython.Build import cythonize
from setuptools import Extension, setup

setup(ext_modules=cythonize([Extension("sharpen", ["sharpen.pyx"], include_dirs=[cconv.get_include()])]))
