#!/usr/bin/env python3
"""Times the kernels of a folder that `varve bench kernels` wrote beside what torch offers.

    bench_rivals.py FOLDER [--only=TEXT] [--rounds=N] [--json=FILE]

Needs torch with CUDA and the CUDA driver. Each kernel is checked against torch in higher precision on
random data, with poisoned outputs; then both sides are timed in turn, over sets of inputs that together
exceed the L2 cache. A ratio above 1 means that ours is faster.
"""
import argparse, ctypes, json, math, os, statistics, sys
import torch

cuda = ctypes.CDLL("libcuda.so.1")
TENSOR_MAP_TYPES = {"i8": 0, "f8E4M3FN": 0, "f8E5M2": 0, "i32": 3, "f16": 6, "f32": 7, "bf16": 9}
ELEMENT_BYTES = {"i8": 1, "f8E4M3FN": 1, "f8E5M2": 1, "i32": 4, "f16": 2, "f32": 4, "bf16": 2}
SWIZZLES = {0: 0, 32: 1, 64: 2, 128: 3}
NO_BINARY_FOR_GPU = 209  # CUDA_ERROR_NO_BINARY_FOR_GPU: then the driver assembles the PTX
MAX_DYNAMIC_SHARED = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES


def check(code, what):
    if code:
        text = ctypes.c_char_p()
        cuda.cuGetErrorString(code, ctypes.byref(text))
        raise RuntimeError(f"{what}: {text.value.decode() if text.value else code}")


def make_tensor_map(tensor, entry):
    """A CUtensorMap over a whole dense tensor; `entry` is from varve.tensor_maps."""
    sizes, box = list(tensor.shape), entry["box"]
    element = entry["element"]
    rank, size = len(sizes), ELEMENT_BYTES[element]
    strides = [s * size for s in tensor.stride()]
    memory = ctypes.create_string_buffer(128 + 64)
    address = (ctypes.addressof(memory) + 63) & ~63
    check(cuda.cuTensorMapEncodeTiled(
        ctypes.c_void_p(address), TENSOR_MAP_TYPES[element], rank, ctypes.c_void_p(tensor.data_ptr()),
        (ctypes.c_uint64 * rank)(*sizes[::-1]), (ctypes.c_uint64 * max(1, rank - 1))(*strides[-2::-1]),
        (ctypes.c_uint32 * rank)(*box[::-1]), (ctypes.c_uint32 * rank)(*([1] * rank)),
        0, SWIZZLES[entry["swizzle"]], 2, 0), "tensor map")
    return (ctypes.c_uint8 * 128).from_buffer_copy(ctypes.string_at(address, 128))


class Kernel:
    def __init__(self, folder, entry):
        self.entry = entry
        module, self.function = ctypes.c_void_p(), ctypes.c_void_p()
        for name in (entry["file"], entry["ptx"]):
            with open(os.path.join(folder, name), "rb") as file:
                image = file.read() + b"\0"
            code = cuda.cuModuleLoadData(ctypes.byref(module), image)
            self.code = name
            if code != NO_BINARY_FOR_GPU:
                break
        check(code, "loading " + name)
        check(cuda.cuModuleGetFunction(ctypes.byref(self.function), module, entry["function"].encode()),
              "finding " + entry["function"])
        check(cuda.cuFuncSetAttribute(self.function, MAX_DYNAMIC_SHARED, entry["shared_bytes"]), "shared memory")
        blocks = ctypes.c_int()
        check(cuda.cuOccupancyMaxActiveBlocksPerMultiprocessor(
            ctypes.byref(blocks), self.function, entry["threads"], ctypes.c_size_t(entry["shared_bytes"])), "occupancy")
        self.blocks = blocks.value
        resident = blocks.value * torch.cuda.get_device_properties(0).multi_processor_count
        self.grid = ((entry["grid"] or [resident]) + [1, 1])[:3]

    def bind(self, values):
        """A function that launches the kernel on these arguments (tensors, ints, floats)."""
        words = []
        for argument, value in zip(self.entry["arguments"], values, strict=True):
            if argument["kind"] == "view":
                assert list(value.shape) == argument["sizes"] and value.is_contiguous(), argument
                words.append(ctypes.c_uint64(value.data_ptr()))
                words += [ctypes.c_uint64(value.shape[dim]) for dim in argument["dynamic"]]
            else:
                word = ctypes.c_uint64(0)
                ctypes.memmove(ctypes.byref(word), ctypes.byref(ctypes.c_float(value)), 4)
                words.append(word)
        for entry in self.entry["tensor_maps"]:
            words.append(make_tensor_map(values[entry["argument"]], entry))
        pointers = (ctypes.c_void_p * len(words))(*[ctypes.cast(ctypes.pointer(w), ctypes.c_void_p) for w in words])

        def launch():
            check(cuda.cuLaunchKernel(
                self.function, *self.grid, self.entry["threads"], 1, 1, self.entry["shared_bytes"],
                ctypes.c_void_p(torch.cuda.current_stream().cuda_stream), pointers, None), "launch")

        launch.keep = (words, pointers, values)
        return launch


def relative_error(actual, expected):
    difference = (actual.float() - expected.float()).norm() / expected.float().norm()
    return difference.item() if torch.isfinite(difference) else math.inf


# A case gives input sets; per set ours' arguments, the output, and a rival to time; and a check.

class GemmBf16:
    unit = "torch.mm"
    bound = 5e-3

    def __init__(self, sizes):
        self.m, self.n, self.k = sizes["M"], sizes["N"], sizes["K"]

    def make(self):
        a = torch.randn(self.m, self.k, device="cuda", dtype=torch.bfloat16)
        b = torch.randn(self.n, self.k, device="cuda", dtype=torch.bfloat16)
        c = torch.full((self.m, self.n), float("nan"), device="cuda", dtype=torch.bfloat16)
        other = torch.empty_like(c)
        return dict(arguments=[a, b, c], output=c, rival=lambda: torch.mm(a, b.t(), out=other))

    def error(self, made):
        a, b, c = made["arguments"]
        return relative_error(c, a.float() @ b.float().t())


class GemmFp8:
    unit = "torch._scaled_mm, the same scales"
    bound = 5e-3

    def __init__(self, sizes):
        self.m, self.n, self.k = sizes["M"], sizes["N"], sizes["K"]

    def make(self):
        m, n, k = self.m, self.n, self.k
        a = torch.randn(m, k, device="cuda").to(torch.float8_e4m3fn)
        b = torch.randn(n, k, device="cuda").to(torch.float8_e4m3fn)
        a_scale = torch.rand(k // 128, m, device="cuda") * 0.1 + 0.05
        b_scale = torch.rand(n // 128, k // 128, device="cuda") * 0.1 + 0.05
        c = torch.full((m, n), float("nan"), device="cuda", dtype=torch.bfloat16)

        def rival(scale=b_scale.t()):
            return torch._scaled_mm(a, b.t(), scale_a=a_scale.t(), scale_b=scale, out_dtype=torch.bfloat16)
        try:
            rival()
        except RuntimeError:
            contiguous = b_scale.t().contiguous()
            rival(contiguous)
            first = rival
            rival = lambda: first(contiguous)
        return dict(arguments=[a, b, a_scale, b_scale, c], output=c, rival=rival)

    def error(self, made):
        a, b, a_scale, b_scale, c = made["arguments"]
        x = (a.float().view(self.m, -1, 128) * a_scale.t()[:, :, None]).view(self.m, self.k)
        w = (b.float().view(self.n // 128, 128, -1, 128) * b_scale[:, None, :, None]).view(self.n, self.k)
        return relative_error(c, x @ w.t())


class RmsNorm:
    unit = "torch copy of as many bytes"
    bound = 5e-3

    def __init__(self, sizes):
        self.rows, self.columns = sizes["rows"], sizes["C"]

    def make(self):
        x = torch.randn(self.rows, self.columns, device="cuda", dtype=torch.bfloat16)
        w = torch.randn(self.columns, device="cuda", dtype=torch.bfloat16)
        y = torch.full_like(x, float("nan"))
        other = torch.empty_like(x)
        return dict(arguments=[x, w, y, 1e-6], output=y, rival=lambda: other.copy_(x))

    def error(self, made):
        x, w, y, epsilon = made["arguments"]
        worst = 0.0
        for begin in range(0, self.rows, 4096):
            f = x[begin:begin + 4096].float()
            expected = f * torch.rsqrt((f * f).mean(-1, keepdim=True) + epsilon) * w.float()
            worst = max(worst, relative_error(y[begin:begin + 4096], expected))
        return worst


class Attention:
    unit = "torch gather, bmm, softmax, bmm"
    bound = 1e-2

    def __init__(self, sizes):
        self.queries, self.keys, self.rows = sizes["queries"], sizes["keys"], sizes["rows"]
        self.scale = 1 / math.sqrt(512)

    def make(self):
        q = torch.randn(self.queries * 64, 512, device="cuda", dtype=torch.bfloat16)
        pool = torch.randn(self.rows, 512, device="cuda", dtype=torch.bfloat16)
        chosen = torch.rand(self.queries, self.rows, device="cuda").argsort(dim=1)[:, :self.keys]
        chosen = chosen.to(torch.int32).contiguous()
        out = torch.full_like(q, float("nan"))

        def rival():
            for begin in range(0, self.queries, 128):
                keys = pool[chosen[begin:begin + 128].long()]
                logits = torch.bmm(q.view(-1, 64, 512)[begin:begin + 128], keys.transpose(1, 2)) * self.scale
                torch.bmm(torch.softmax(logits.float(), -1).to(torch.bfloat16), keys)
        return dict(arguments=[q, pool, chosen, out, self.scale], output=out, rival=rival)

    def error(self, made):
        q, pool, chosen, out, scale = made["arguments"]
        worst = 0.0
        for i in [*range(0, self.queries, max(1, self.queries // 64)), self.queries - 1]:
            keys = pool[chosen[i].long()].float()
            p = torch.softmax(q[64 * i:64 * i + 64].float() @ keys.t() * scale, -1)
            worst = max(worst, relative_error(out[64 * i:64 * i + 64], p @ keys))
        return worst if torch.isfinite(out).all() else math.inf


CASES = {"gemm-bf16": GemmBf16, "gemm-fp8": GemmFp8, "rms-norm": RmsNorm, "attention-bf16": Attention}


def time_in_turn(sides, rounds):
    """Median time in us per side; `sides` are lists of launches, one per input set."""
    events = [[] for _ in sides]
    for number in range(rounds + 3):
        for side, launches in enumerate(sides):
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            launches[number % len(launches)]()
            end.record()
            if number >= 3:
                events[side].append((begin, end))
        if number % 8 == 7:
            torch.cuda.synchronize()
    torch.cuda.synchronize()
    return [statistics.median(begin.elapsed_time(end) for begin, end in list_) * 1e3 for list_ in events]


def run(folder, entry, rounds):
    case = CASES[entry["kind"]](entry["sizes"])
    kernel = Kernel(folder, entry)
    l2 = torch.cuda.get_device_properties(0).L2_cache_size
    sets = max(2, min(8, 1 + math.ceil(2 * l2 / entry["bytes"])))
    made = [case.make() for _ in range(sets)]
    launches = [kernel.bind(m["arguments"]) for m in made]
    launches[0]()
    torch.cuda.synchronize()
    error = case.error(made[0])
    first = made[0]["output"].clone()
    launches[0]()
    torch.cuda.synchronize()
    repeats = torch.equal(first.view(torch.uint8), made[0]["output"].view(torch.uint8))
    rivals = [m["rival"] for m in made]
    few = entry["kind"] == "attention-bf16"
    ours, theirs = time_in_turn([launches, rivals[:1] if few else rivals], 10 if few else rounds)
    if few:
        ours = time_in_turn([launches], rounds)[0]
    return dict(name=entry["name"], error=error, repeats=repeats, ok=error <= case.bound and repeats, us=ours,
                rival=case.unit, rival_us=theirs, ratio=theirs / ours, tflops=entry["flops"] / ours / 1e6,
                gbps=entry["bytes"] / ours / 1e3, blocks=kernel.blocks, code=kernel.code)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--only", default="", help="kernels whose names contain this")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json")
    options = parser.parse_args()
    with open(os.path.join(options.folder, "kernels.json")) as file:
        catalog = json.load(file)
    torch.zeros(1, device="cuda")  # makes the context
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = False
    print(torch.cuda.get_device_name(0), "torch", torch.__version__, flush=True)
    results, failed = [], 0
    for entry in catalog["kernels"]:
        if options.only not in entry["name"]:
            continue
        try:
            result = run(options.folder, entry, options.rounds)
        except Exception as error:
            print(f"{entry['name']:44} FAILED: {error}", flush=True)
            failed += 1
            if "illegal" in str(error) or "launch failure" in str(error) or "unspecified" in str(error):
                break
            continue
        results.append(result)
        failed += not result["ok"]
        print(f"{result['name']:44} error {result['error']:.1e} {'ok' if result['ok'] else 'WRONG'} | "
              f"{result['us']:8.1f} us {result['tflops']:6.0f} TFLOPS {result['gbps']:6.0f} GB/s | "
              f"{result['rival']} {result['rival_us']:.1f} us | ratio {result['ratio']:.3f}"
              + (" | PTX, assembled by the driver" if result["code"] == entry["ptx"] else ""), flush=True)
        torch.cuda.empty_cache()
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
