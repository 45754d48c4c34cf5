# The suite of GoogleTest programs: every *-tests program in build/test/Unit.
# lit spreads their tests over the cores and reports each by name.
import os

import lit.formats
import lit.util

config.name = "Varve-Unit"
config.suffixes = []
config.test_source_root = config.varve_unit_exec_root
config.test_exec_root = config.varve_unit_exec_root
config.test_format = lit.formats.GoogleTest(".", "-tests")

if lit.util.killProcessAndChildrenIsSupported()[0]:
    lit_config.maxIndividualTestTime = 120

for name in ("CUDA_VISIBLE_DEVICES", "HOME"):
    if name in os.environ:
        config.environment[name] = os.environ[name]

# LLVM's allocators poison memory in headers, which are compiled into Varve, and
# lift the poison in the packaged libraries, which are not instrumented.
if "address" in config.varve_sanitizers:
    config.environment["ASAN_OPTIONS"] = "allow_user_poisoning=0"
