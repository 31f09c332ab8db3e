"""Compile every ``native/*.pyx`` into ``vecmill._native``. All other settings live in pyproject.toml.

Environment variables choose another build; docs/extending.md, "A kernel", tells what each is for.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import OptionError

NATIVE = Path("native")

# No -march=native: wheels run on any CPU of the platform; wider SIMD is chosen at run time (native/dispatch.h).
COMPILE_ARGS = ["-O3", "-fno-math-errno", "-Wall", "-Wno-unused-function"]

# Variable: name of the build, arguments that follow COMPILE_ARGS, arguments of the linker.
FLAVOURS = {
    "VECMILL_PLAIN": ("plain", ["-DVM_PLAIN", "-g0"], []),
    "VECMILL_NO_AVX2": ("sse2", ["-DVM_NO_AVX2", "-g0"], []),
    "VECMILL_NO_AVX512": ("avx2", ["-DVM_NO_AVX512", "-g0"], []),
    "VECMILL_SANITIZE": (
        "sanitize",
        ["-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
        ["-fsanitize=address,undefined"],
    ),
    "VECMILL_DEBUG": ("debug", ["-O0", "-g", "-UNDEBUG"], []),
}
CHOSEN = [flavour for variable, flavour in FLAVOURS.items() if os.environ.get(variable, "0") != "0"]
NAME = "-".join(name for name, _, _ in CHOSEN)
IS_DEBUG = "debug" in NAME


class BuildExt(build_ext):
    def finalize_options(self):
        super().finalize_options()
        if NAME and (self.inplace or self.editable_mode):
            raise OptionError(f"the {NAME} build goes to build/{NAME}, not over the modules in src: `setup.py build`")


extensions = [
    Extension(
        f"vecmill._native.{source.stem}",
        [str(source)],
        include_dirs=[str(NATIVE)],
        depends=[str(header) for pattern in ("*.h", "*.pxd") for header in sorted(NATIVE.glob(pattern))],
        extra_compile_args=[*COMPILE_ARGS, *(arg for _, compile_args, _ in CHOSEN for arg in compile_args)],
        extra_link_args=[arg for _, _, link_args in CHOSEN for arg in link_args],
    )
    for source in sorted(NATIVE.glob("*.pyx"))
    if source.stem in os.environ.get("VECMILL_ONLY", source.stem).split(",")
]

options = {"build_ext": {"parallel": os.cpu_count()}}
if NAME:  # a whole package in a folder of its own: PYTHONPATH=build/NAME imports it
    options["build"] = {"build_base": f"build/{NAME}", "build_lib": f"build/{NAME}", "build_temp": f"build/{NAME}/temp"}

setup(
    cmdclass={"build_ext": BuildExt},
    options=options,
    ext_modules=cythonize(
        extensions,
        include_path=[str(NATIVE)],
        build_dir="build/debug/cython" if IS_DEBUG else "build/cython",
        annotate=bool(os.environ.get("VECMILL_ANNOTATE")),
        compiler_directives={
            "language_level": 3,
            "boundscheck": IS_DEBUG,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": IS_DEBUG,
            "freethreading_compatible": True,
            "auto_pickle": False,
            "autotestdict": False,
        },
    ),
)
