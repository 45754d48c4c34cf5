#!/usr/bin/env python3
"""Run compiled kernel cases on a GPU and compare with the CPU's results.

    run_cases.py FOLDER [--filter=TEXT]

FOLDER holds what compile-cases left. Every buffer is compared with what the x86
engine wrote: integers and bytes exactly, floats within a bound per type that
other orders of summation explain. Prints a line per case with the greatest
error, relative to the greatest expected number, and a last line with totals.
Needs the CUDA driver and nothing else.
"""

import argparse
import ctypes
import json
import math
import os
import struct
import subprocess
import sys

# Greatest error relative to the greatest expected magnitude.
BOUNDS = {"f32": 2e-5, "bf16": 1e-2, "f16": 2e-3, "f8E4M3FN": 0.13, "f8E5M2": 0.26, "f4E2M1FN": 0.35, "f8E8M0FNU": 0.0}
GUARD = 4096


def check(driver, status, what):
    if status == 0:
        return
    name = ctypes.c_char_p()
    driver.cuGetErrorName(status, ctypes.byref(name))
    raise RuntimeError(f"{what}: {(name.value or b'?').decode()}")


def small_floats(exponent_bits, mantissa_bits, finite_only):
    """The value of every code of a small float format; NaN where there is none."""
    bits, bias = 1 + exponent_bits + mantissa_bits, (1 << (exponent_bits - 1)) - 1
    values = []
    for code in range(1 << bits):
        exponent = code >> mantissa_bits & ((1 << exponent_bits) - 1)
        fraction = code & ((1 << mantissa_bits) - 1)
        value = (fraction * 2.0 ** (1 - bias - mantissa_bits) if exponent == 0
                 else (1 + fraction / 2.0 ** mantissa_bits) * 2.0 ** (exponent - bias))
        if not finite_only and exponent == (1 << exponent_bits) - 1:
            value = math.nan if fraction else math.inf
        values.append(-value if code >> (bits - 1) else value)
    return values


E4M3, E5M2, E2M1 = small_floats(4, 3, True), small_floats(5, 2, False), small_floats(2, 1, True)
E4M3[0x7F] = E4M3[0xFF] = math.nan
E8M0 = [2.0 ** (code - 127) for code in range(255)] + [math.nan]
FORMATS = {"f32": "f", "f64": "d", "f16": "e", "i8": "b", "i16": "h", "i32": "i", "i64": "q"}


def decode(raw, element):
    """The elements of a buffer as numbers."""
    if element in FORMATS:
        size = struct.calcsize(FORMATS[element])
        return struct.unpack(f"<{len(raw) // size}{FORMATS[element]}", raw)
    if element == "bf16":
        wide = bytearray(2 * len(raw))
        wide[2::4], wide[3::4] = raw[0::2], raw[1::2]
        return struct.unpack(f"<{len(raw) // 2}f", wide)
    if element == "f4E2M1FN":
        return [E2M1[half] for byte in raw for half in (byte & 15, byte >> 4)]
    table = {"f8E4M3FN": E4M3, "f8E5M2": E5M2, "f8E8M0FNU": E8M0}[element]
    return [table[byte] for byte in raw]


def compare(actual, expected, element, unordered):
    """(error, passed): relative to the greatest expected number."""
    if actual == expected:
        return 0.0, True
    if unordered:
        wrong = sorted(decode(actual, element)) != sorted(decode(expected, element))
        return float(wrong), not wrong
    if element.startswith("i"):
        wrong = sum(a != e for a, e in zip(decode(actual, element), decode(expected, element)))
        return float(wrong), wrong == 0
    scale, difference, same = 1e-30, 0.0, True
    for a, e in zip(decode(actual, element), decode(expected, element)):
        if math.isfinite(e) and math.isfinite(a):
            scale = max(scale, abs(e))
            difference = max(difference, abs(a - e))
        else:
            same = same and (a == e or (math.isnan(a) and math.isnan(e)))
    error = difference / scale
    return (error if same else math.inf), same and error <= BOUNDS.get(element, 1e-5)


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
    elements, unordered = {}, set()
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
            if argument["unordered"]:
                unordered.add(number)
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
        error, same = compare(guarded[GUARD:GUARD + size], expected, elements[number], number in unordered)
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
