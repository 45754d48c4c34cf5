#!/usr/bin/env python3
"""Run the quantisers' kernels on a GPU over all codes and a million groups.

    check_quantisers.py FOLDER [--groups=N]

FOLDER holds what compile-cases left of the cases of lower-quantiser-tests. Every
case must give the bytes that its test expects (rows of pools and Hadamard
transforms too), and the kernels of the random
groups run once more on every bf16 number as a group's largest and beside it, and
on N random groups (default 2^20). The expected codes come from PyTorch's own
float8_e4m3fn and from the definition of E2M1, their scales from integers.
Groups that are no numbers must have the scale NaN; their codes are not compared.
Prints a line per kernel and a last line with totals. Needs PyTorch with CUDA.
"""

import argparse
import ctypes
import json
import os
import sys

import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import run_cases

DEVICE = "cuda"
# By the codes' type: largest value, bits of FP32(1 / largest), least amax.
FORMATS = {"f8E4M3FN": (448.0, 0x3B124925, 1e-4), "f4E2M1FN": (6.0, 0x3E2AAAAB, 6 * 2.0**-126)}
E2M1_TIES = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0]


def expected_scales(x, kind):
    """E8M0 codes of the groups of a float32 [groups, block]; 255 for groups with a NaN or an infinity."""
    _, reciprocal, floor = FORMATS[kind]
    floor = torch.tensor(floor, dtype=torch.float32, device=x.device)
    bad = ~torch.isfinite(x).all(1)
    largest = torch.maximum(torch.where(bad[:, None], 0.0, x).abs().amax(1), floor)
    bits = largest.view(torch.int32).to(torch.int64)
    # The product of two significands of 24 bits, rounded to 24 bits, ties to even.
    product = ((bits & 0x7FFFFF) | 0x800000) * ((reciprocal & 0x7FFFFF) | 0x800000)
    exponent = (bits >> 23) + (reciprocal >> 23) - 2 * 150
    dropped = torch.where(product >= 1 << 47, 24, 23)
    rest, half = product & ((1 << dropped) - 1), (1 << dropped) // 2
    product, exponent = product >> dropped, exponent + dropped
    product += ((rest > half) | ((rest == half) & (product % 2 == 1))).to(torch.int64)
    carried = product == 1 << 24
    product, exponent = torch.where(carried, 1 << 23, product), exponent + carried.to(torch.int64)
    power = exponent + 23 + (product != 1 << 23).to(torch.int64)
    return torch.where(bad, 255, power + 127)


def expected_codes(x, scales, kind):
    """Codes, one a byte, of float32 [groups, block]."""
    largest = FORMATS[kind][0]
    # 2^(127 - scale), from its bits.
    factor = ((127 - scales + 1023) << 52).view(torch.float64)
    quotient = (x.double() * factor[:, None]).clamp(-largest, largest)
    if kind == "f8E4M3FN":
        return quotient.float().to(torch.float8_e4m3fn).view(torch.uint8)
    magnitude, code = quotient.abs(), torch.zeros_like(quotient, dtype=torch.uint8)
    for below, tie in enumerate(E2M1_TIES):
        # Half way between codes n and n + 1, the even one.
        code += ((magnitude > tie) | ((magnitude == tie) & (below % 2 == 1))).to(torch.uint8)
    return code | (torch.signbit(quotient).to(torch.uint8) << 3)


class QuantiserKernel:
    def __init__(self, device, folder):
        self.device = device
        self.case = json.loads(run_cases.read(folder, "case.json"))
        self.kernel = json.loads(run_cases.read(folder, "kernel.json"))
        assert not self.kernel["tensor_maps"]
        x, codes, scales = self.kernel["views"]
        self.kind, self.width, self.groups = codes["element"], x["shape"][1], scales["shape"][1]
        self.block = self.width // self.groups
        rows = int(self.case["arguments"][0]["words"][1], 16)
        self.rows_of_block = rows // self.case["grid"][0]
        name = "kernel.cubin" if os.path.exists(os.path.join(folder, "kernel.cubin")) else "kernel.ptx"
        module, self.function = ctypes.c_void_p(), ctypes.c_void_p()
        device.call("cuModuleLoadData", ctypes.byref(module), run_cases.read(folder, name) + b"\0")
        device.call("cuModuleGetFunction", ctypes.byref(self.function), module, self.kernel["kernel"].encode())
        if self.kernel["shared_bytes"] > 48 * 1024:
            device.call("cuFuncSetAttribute", self.function, 8, self.kernel["shared_bytes"])

    def run(self, x):
        """Codes, one a byte, and scales of bf16 [groups, block]."""
        groups = len(x)
        rows = -(-groups // self.groups)
        padded = torch.zeros(rows * self.groups, self.block, dtype=torch.bfloat16, device=DEVICE)
        padded[:groups] = x
        packed = 2 if self.kind == "f4E2M1FN" else 1
        codes = torch.full((rows * self.width // packed,), 0xA5, dtype=torch.uint8, device=DEVICE)
        scales = torch.full((rows * self.groups,), 0xA5, dtype=torch.uint8, device=DEVICE)
        torch.cuda.synchronize()
        words = [ctypes.c_uint64(word) for t in (padded, codes, scales) for word in (t.data_ptr(), rows)]
        pointers = (ctypes.c_void_p * len(words))(*[ctypes.addressof(word) for word in words])
        self.device.call("cuLaunchKernel", self.function, -(-rows // self.rows_of_block), 1, 1, self.kernel["threads"], 1, 1,
                         self.kernel["shared_bytes"], None, pointers, None)
        self.device.call("cuCtxSynchronize")
        if packed == 2:
            codes = torch.stack([codes & 15, codes >> 4], 1)
        return codes.reshape(-1, self.block)[:groups], scales[:groups]

    def count_wrong(self, x):
        codes, scales = self.run(x)
        wide = x.float()
        right = expected_scales(wide, self.kind)
        wrong = (scales.to(torch.int64) != right).sum().item()
        numbers = right != 255
        return wrong + (codes[numbers] != expected_codes(wide[numbers], right[numbers], self.kind)).sum().item()


def all_numbers():
    return torch.arange(65536, dtype=torch.int32, device=DEVICE).to(torch.int16).view(torch.bfloat16)


def as_largest(block):
    x = torch.zeros(65536, block, dtype=torch.bfloat16, device=DEVICE)
    places = torch.arange(65536, device=DEVICE)
    x[places, places % block] = all_numbers()
    return x


def beside_largest(block, largest):
    numbers = all_numbers()
    numbers = numbers[numbers.float().abs() <= largest]
    groups = -(-len(numbers) // (block - 1))
    x = torch.zeros(groups, block, dtype=torch.bfloat16, device=DEVICE)
    others = torch.zeros(groups * (block - 1), dtype=torch.bfloat16, device=DEVICE)
    others[:len(numbers)] = numbers
    x[:, 0] = largest
    x[:, 1:] = others.reshape(groups, block - 1)
    return x


def random_groups(groups, block, seed):
    """Groups of all magnitudes, each of numbers over 16 powers of two, with zeros and subnormal numbers."""
    generator = torch.Generator(DEVICE).manual_seed(seed)

    def below(end, *shape):
        return torch.randint(end, shape, generator=generator, device=DEVICE, dtype=torch.int32)

    exponent = (below(255, groups, 1) - below(16, groups, block)).clamp(min=0)
    bits = exponent * 128 + below(128, groups, block)
    bits = torch.where(below(32, groups, block) == 0, 0, bits) + 32768 * below(2, groups, block)
    return bits.to(torch.int16).view(torch.bfloat16)


def check_kernel(kernel, groups):
    largest = FORMATS[kernel.kind][0]
    wrong = {"largest": kernel.count_wrong(as_largest(kernel.block))}
    wrong["beside"] = sum(kernel.count_wrong(beside_largest(kernel.block, largest * 2.0**power)) for power in (-20, -1, 0, 20))
    step = 1 << 17
    wrong["random"] = sum(kernel.count_wrong(random_groups(min(step, groups - done), kernel.block, done))
                          for done in range(0, groups, step))
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--groups", type=int, default=1 << 20)
    options = parser.parse_args()
    torch.zeros(1, device=DEVICE)
    device = run_cases.Device()
    passed = failed = 0
    for name in sorted(os.listdir(options.folder)):
        folder = os.path.join(options.folder, name)
        if not os.path.exists(os.path.join(folder, "kernel.json")):
            continue
        # The codes of groups that are no numbers are nobody's business.
        if "AsTheLargest" not in name:
            error, good = run_cases.run_case(device, folder)
            # Functions of published numbers are not the same to the last bit.
            good = good and (error == 0.0 or name.startswith("Published"))
            passed, failed = passed + good, failed + (not good)
            if not good:
                print(f"FAIL {name}: {error:.3g}", flush=True)
        if "AMillion" in name:
            kernel = QuantiserKernel(device, folder)
            wrong = check_kernel(kernel, options.groups)
            good = not any(wrong.values())
            passed, failed = passed + good, failed + (not good)
            print(f"{'ok  ' if good else 'FAIL'} {kernel.kind} by {kernel.block}: wrong {wrong}", flush=True)
    print(f"{device.name}: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
