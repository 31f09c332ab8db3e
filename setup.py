"""Compile every ``native/*.pyx`` into ``vecmill._native``. All other settings live in pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

NATIVE = Path("native")

# No -march=native: wheels run on any CPU of the platform; wider SIMD is chosen at run time (native/dispatch.h).
COMPILE_ARGS = ["-O3", "-fno-math-errno", "-Wall", "-Wno-unused-function"]

extensions = [
    Extension(
        f"vecmill._native.{source.stem}",
        [str(source)],
        include_dirs=[str(NATIVE)],
        depends=[str(header) for pattern in ("*.h", "*.pxd", "*.pxi") for header in sorted(NATIVE.glob(pattern))],
        extra_compile_args=COMPILE_ARGS,
    )
    for source in sorted(NATIVE.glob("*.pyx"))
    if source.stem in os.environ.get("VECMILL_ONLY", source.stem).split(",")
]

setup(
    options={"build_ext": {"parallel": os.cpu_count()}},
    ext_modules=cythonize(
        extensions,
        include_path=[str(NATIVE)],
        build_dir="build/cython",
        annotate=bool(os.environ.get("VECMILL_ANNOTATE")),
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "freethreading_compatible": True,
            "auto_pickle": False,
            "autotestdict": False,
        },
    ),
)
