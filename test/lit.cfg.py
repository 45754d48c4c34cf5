# The suite of text tests: every .mlir and .test file under test/ runs the
# commands of its RUN lines. GoogleTest programs are a suite of their own
# (Unit/lit.cfg.py). docs/testing.md says how to write one.
import ctypes
import glob
import os
import shutil

import lit.formats
import lit.util
from lit.llvm import llvm_config
from lit.llvm.subst import ToolSubst

config.name = "Varve"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Fuzz", "Inputs", "Unit", "data"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = config.varve_test_exec_root

# A test that hangs is a failure, not a stuck machine. Without psutil lit cannot
# stop one and would refuse to run at all.
if lit.util.killProcessAndChildrenIsSupported()[0]:
    lit_config.maxIndividualTestTime = 120

llvm_config.with_environment("PATH", config.llvm_tools_dir, append_path=True)
# What the tools keep between runs must not come from, or go to, the user's own
# cache.
config.environment["XDG_CACHE_HOME"] = os.path.join(config.test_exec_root, "cache")
for name in ("CUDA_VISIBLE_DEVICES", "CUDA_HOME", "CUDA_PATH"):
    if name in os.environ:
        config.environment[name] = os.environ[name]

config.substitutions.append(("%data", os.path.join(config.test_source_root, "data")))
config.substitutions.append(("%source", config.varve_source_dir))
config.substitutions.append(("%python", config.python_executable))

# Tools by name. Ours come from this build tree and nowhere else; the testing
# tools from the LLVM that Varve was built with.
llvm_config.add_tool_substitutions(
    [ToolSubst(name, unresolved="fatal") for name in config.varve_tools],
    [config.varve_tools_dir],
)
llvm_config.add_tool_substitutions(
    [ToolSubst("FileCheck", unresolved="fatal"),
     ToolSubst("count", unresolved="fatal"),
     ToolSubst("not", unresolved="fatal"),
     ToolSubst("split-file", unresolved="fatal")],
    [config.llvm_tools_dir],
)


def has_cuda_device():
    """A driver that loads and at least one device node."""
    if not glob.glob("/dev/nvidia[0-9]*"):
        return False
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


# What a test may ask for with REQUIRES.
if has_cuda_device():
    config.available_features.add("cuda")
for program in ("ptxas", "chromium"):
    if shutil.which(program):
        config.available_features.add(program)
for name in config.varve_tools:
    config.available_features.add(name)
for name, feature in (("address", "asan"), ("undefined", "ubsan")):
    if name in config.varve_sanitizers:
        config.available_features.add(feature)

# LLVM's allocators poison memory in headers, which are compiled into Varve, and
# lift the poison in the packaged libraries, which are not instrumented.
if "address" in config.varve_sanitizers:
    config.environment["ASAN_OPTIONS"] = "allow_user_poisoning=0"
