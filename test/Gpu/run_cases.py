#!/usr/bin/env python3
"""Run compiled kernel cases on a GPU and compare with the CPU's results.

    run_cases.py FOLDER [--filter=TEXT]

FOLDER holds what compile-cases left. Every buffer is compared with what the x86
engine wrote: integers and bytes exactly, floats within a bound per type that
other orders of summation explain. Prints a line per case with the greatest
error, relative to the greatest expected number, and a last line with totals.
Needs the CUDA driver and NumPy, nothing else.
"""

import argparse
import ctypes
import json
import os
import subprocess
import sys

import numpy as np

# Greatest error relative to the greatest expected magnitude.
BOUNDS = {"f32": 2e-5, "bf16": 1e-2, "f16": 2e-3, "f8E4M3FN": 0.13, "f8E5M2": 0.26, "f4E2M1FN": 0.35, "f8E8M0FNU": 0.0}
GUARD = 4096


def check(driver, status, what):
    if status == 0:
        return
    name = ctypes.c_char_p()
    driver.cuGetErrorName(status, ctypes.byref(name))
    raise RuntimeError(f"{what}: {(name.value or b'?').decode()}")


def decode(raw, element):
    """Bytes of a buffer as float64, or as integers."""
    if element == "f32":
        return raw.view(np.float32).astype(np.float64)
    if element == "f64":
        return raw.view(np.float64)
    if element == "f16":
        return raw.view(np.float16).astype(np.float64)
    if element == "bf16":
        return (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    if element in ("f8E4M3FN", "f8E5M2"):
        mantissa = 3 if element == "f8E4M3FN" else 2
        bias = 7 if element == "f8E4M3FN" else 15
        codes = np.arange(256)
        exponent = (codes >> mantissa) & ((1 << (7 - mantissa)) - 1)
        fraction = codes & ((1 << mantissa) - 1)
        value = np.where(exponent == 0, fraction * 2.0 ** (1 - bias - mantissa),
                         (1 + fraction / 2.0 ** mantissa) * 2.0 ** (exponent.astype(float) - bias))
        if element == "f8E4M3FN":
            value[(codes & 127) == 127] = np.nan
        return (np.where(codes >= 128, -value, value))[raw]
    if element == "f4E2M1FN":
        table = np.array([0, .5, 1, 1.5, 2, 3, 4, 6, -0., -.5, -1, -1.5, -2, -3, -4, -6])
        return np.stack([table[raw & 15], table[raw >> 4]], axis=-1).reshape(-1)
    if element == "f8E8M0FNU":
        return np.where(raw == 255, np.nan, 2.0 ** (raw.astype(float) - 127))
    width = int(element[1:]) // 8
    return raw.view({1: np.int8, 2: np.int16, 4: np.int32, 8: np.int64}[width])


def compare(actual, expected, element):
    """(error, passed): relative to the greatest expected number."""
    a, e = decode(actual, element), decode(expected, element)
    if element.startswith("i"):
        wrong = int((a != e).sum())
        return wrong, wrong == 0
    special = ~np.isfinite(e)
    same = np.array_equal(np.isnan(a), np.isnan(e)) and np.array_equal(a[special & ~np.isnan(e)], e[special & ~np.isnan(e)])
    difference = np.abs(a - e)[~special]
    scale = max(np.abs(e[~special]).max(initial=0.0), 1e-30)
    error = float(difference.max(initial=0.0) / scale)
    return error, bool(same and error <= BOUNDS.get(element, 1e-5))


class Device:
    def __init__(self):
        self.driver = ctypes.CDLL("libcuda.so.1")
        self.call("cuInit", 0)
        device = ctypes.c_int()
        self.call("cuDeviceGet", ctypes.byref(device), 0)
        context = ctypes.c_void_p()
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self.call("cuCtxSetCurrent", context)
        name = ctypes.create_string_buffer(100)
        self.call("cuDeviceGetName", name, 100, device)
        self.name = name.value.decode()

    def call(self, function, *arguments):
        check(self.driver, getattr(self.driver, function)(*arguments), function)

    def upload(self, data):
        address = ctypes.c_uint64()
        self.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(max(len(data), 1)))
        if data:
            self.call("cuMemcpyHtoD_v2", address, data, ctypes.c_size_t(len(data)))
        return address.value

    def download(self, address, size):
        data = ctypes.create_string_buffer(max(size, 1))
        if size:
            self.call("cuMemcpyDtoH_v2", data, ctypes.c_uint64(address), ctypes.c_size_t(size))
        return data.raw[:size]

    def free(self, address):
        self.call("cuMemFree_v2", ctypes.c_uint64(address))

    def encode_map(self, view, words, entry):
        """A CUtensorMap of a view; innermost dimension first, as CUDA wants it."""
        kinds = {"i8": 0, "f8E4M3FN": 0, "f8E5M2": 0, "f8E8M0FNU": 0, "i32": 4, "f16": 6, "f32": 7, "f64": 8, "bf16": 9}
        bytes_of = {"i8": 1, "f8E4M3FN": 1, "f8E5M2": 1, "f8E8M0FNU": 1, "i32": 4, "f16": 2, "f32": 4, "f64": 8, "bf16": 2}
        rest = list(words[1:])
        dynamic = -(1 << 63)
        sizes = [rest.pop(0) if s == dynamic else s for s in view["shape"]]
        strides = [rest.pop(0) if s == dynamic else s for s in view["strides"]]
        if not strides:
            strides = [1] * len(sizes)
            for i in reversed(range(len(sizes) - 1)):
                strides[i] = strides[i + 1] * sizes[i + 1]
        rank, width = len(sizes), bytes_of[view["element"]]
        result = (ctypes.c_uint8 * 192)()
        aligned = (ctypes.addressof(result) + 63) // 64 * 64
        array64, array32 = ctypes.c_uint64 * rank, ctypes.c_uint32 * rank
        self.call("cuTensorMapEncodeTiled", ctypes.c_void_p(aligned), kinds[view["element"]], rank,
                  ctypes.c_uint64(words[0]), array64(*reversed(sizes)),
                  array64(*[s * width for s in reversed(strides)][1:] + [0]),
                  array32(*reversed(entry["box"])), array32(*[1] * rank), 0,
                  {0: 0, 32: 1, 64: 2, 128: 3}[entry["swizzle"]], 2, 0)
        return result, aligned


def read(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


def run_case(device, folder):
    case, kernel = json.loads(read(folder, "case.json")), json.loads(read(folder, "kernel.json"))
    before, after, addresses = {}, {}, {}
    elements = {}
    words, per_argument = [], []
    for argument, view in zip(case["arguments"], kernel["views"]):
        values = [int(word, 16) for word in argument["words"]]
        if "buffer" in argument:
            number = argument["buffer"]
            if number not in before:
                before[number] = read(folder, f"before.{number}")
                after[number] = read(folder, f"after.{number}")
                guarded = bytes([0xA5]) * GUARD + before[number] + bytes([0xA5]) * GUARD
                addresses[number] = device.upload(guarded)
            elements.setdefault(number, view["element"])
            values[0] = addresses[number] + GUARD + argument["offset"]
        words += values
        per_argument.append(values)
    module, function = ctypes.c_void_p(), ctypes.c_void_p()
    name = "kernel.cubin" if os.path.exists(os.path.join(folder, "kernel.cubin")) else "kernel.ptx"
    image = read(folder, name) + b"\0"
    device.call("cuModuleLoadData", ctypes.byref(module), image)
    device.call("cuModuleGetFunction", ctypes.byref(function), module, kernel["kernel"].encode())
    if kernel["shared_bytes"] > 48 * 1024:
        device.call("cuFuncSetAttribute", function, 8, kernel["shared_bytes"])
    storage = [ctypes.c_uint64(word) for word in words]
    pointers = [ctypes.addressof(word) for word in storage]
    maps = [device.encode_map(kernel["views"][m["argument"]], per_argument[m["argument"]], m) for m in kernel["tensor_maps"]]
    pointers += [aligned for _, aligned in maps]
    parameters = (ctypes.c_void_p * len(pointers))(*pointers)
    grid = (case["grid"] + [1, 1])[:3]
    if all(extent > 0 for extent in grid):
        device.call("cuLaunchKernel", function, *grid, kernel["threads"], 1, 1, kernel["shared_bytes"], None, parameters, None)
        device.call("cuCtxSynchronize")
    worst, passed = 0.0, True
    for number, expected in after.items():
        size = len(expected)
        guarded = device.download(addresses[number], size + 2 * GUARD)
        if guarded[:GUARD] != bytes([0xA5]) * GUARD or guarded[GUARD + size:] != bytes([0xA5]) * GUARD:
            passed = False
            print(f"  {os.path.basename(folder)}: wrote outside of buffer {number}")
        error, same = compare(np.frombuffer(guarded[GUARD:GUARD + size], np.uint8), np.frombuffer(expected, np.uint8), elements[number])
        worst, passed = max(worst, error), passed and same
        device.free(addresses[number])
    device.call("cuModuleUnload", module)
    return worst, passed


def work(folder, names):
    """Runs cases one after another, a line each; ends early when one of them
    takes the device's context with it. Returns how many were run."""
    device = Device()
    for done, name in enumerate(names, start=1):
        try:
            error, good = run_case(device, os.path.join(folder, name))
            print(f"{'ok  ' if good else 'FAIL'} {name}: {error:.3g}", flush=True)
        except RuntimeError as problem:
            print(f"FAIL {name}: {problem}", flush=True)
            if device.driver.cuCtxSynchronize() != 0:
                return done
    return len(names)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--filter", default="", help="only cases whose name contains this")
    options = parser.parse_args()
    names = [name for name in sorted(os.listdir(options.folder))
             if options.filter in name and os.path.exists(os.path.join(options.folder, name, "kernel.json"))]
    lines = []
    while names:
        # A process of its own: after a fault no other survives.
        worker = subprocess.run([sys.executable, "-c", "import sys; sys.path.insert(0, sys.argv[1]); import run_cases;"
                                 "run_cases.work(sys.argv[2], sys.argv[3:])",
                                 os.path.dirname(os.path.abspath(__file__)), options.folder, *names],
                                stdout=subprocess.PIPE, text=True)
        print(worker.stdout, end="", flush=True)
        found = [line for line in worker.stdout.splitlines() if line.startswith(("ok  ", "FAIL"))]
        if not found:
            print(f"FAIL {names[0]}: the process ended with status {worker.returncode}")
            found = [f"FAIL {names[0]}"]
        lines += found
        names = names[len(found):]
    failed = sum(line.startswith("FAIL") for line in lines)
    print(f"{len(lines) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
