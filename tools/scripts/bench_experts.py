#!/usr/bin/env python3
"""Checks and times the experts of one layer that `varve bench kernels --only=experts-fp4` wrote.

    bench_experts.py FOLDER... [--tokens=N,...] [--rounds=N] [--demand=X] [--json=FILE]

Needs torch, and on GPUs the CUDA driver. For each number of tokens all rows are compared with torch in f64: products
of the decoded codes, rounded and quantised where the model does. Then all launches of a step run as one graph, over
sets of tokens whose routing is random and whose experts are not in the cache. The floor is the longer of the bytes of
the experts that were chosen over the bandwidth of a copy on this device and the operations over the rate of FP8
products. The specification's floor counts rows between the products, too. Exits with 1 if a result is wrong or, with
--demand, a step takes longer than X times the latter.
"""
import argparse, ctypes, json, math, os, statistics, sys
import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import programs

# FP8 products of one H100 or H200, dense, as large products of real data reach it.
FP8_TFLOPS = 1580
# The specification's floors on an H200, µs by tokens, at 4300 GB/s.
SPECIFIED_US = {1: 18.7, 32: 424, 128: 762, 4096: 925}
SPECIFIED_GBPS = 4300
# By policy: relative root mean square of all rows, and of the worst. Sums in another order turn some bf16 roundings of
# hidden rows, and a few of those an FP8 code; short sums turn more.
BOUNDS = {"native": (2e-3, 3e-2), "native-fast": (3e-2, 1e-1)}
E2M1 = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0]


def get_bounds(entry):
    return BOUNDS.get(entry["precision"], BOUNDS["native"])


# Codes and what they mean.

def decode_e8m0(codes):
    """2^(code - 127) in f64."""
    return ((codes.long() - 127 + 1023) << 52).view(torch.float64)


def decode_rows(codes, scales):
    """E4M3 codes [..., n] with a scale per 128, in f64."""
    values = codes.view(torch.float8_e4m3fn).to(torch.float32).double()
    return (values.unflatten(-1, (scales.shape[-1], -1)) * decode_e8m0(scales)[..., None]).flatten(-2)


def decode_fp4(codes, scales):
    """E2M1 codes, two a byte, the low half first, [n, k / 2], with a scale per 32, in f64 [n, k]."""
    table = torch.tensor(E2M1, dtype=torch.float64, device=codes.device)
    values = table[torch.stack([codes & 15, codes >> 4], -1).flatten(-2).long()]
    return (values.unflatten(-1, (scales.shape[-1], -1)) * decode_e8m0(scales)[..., None]).flatten(-2)


def quantise_rows(x, block=128):
    """Codes and scales of bf16 rows, as the appendix of the specification says (A.1)."""
    groups = x.float().unflatten(-1, (-1, block))
    largest = groups.abs().amax(-1).clamp(min=torch.tensor(1e-4, dtype=torch.float32).item())
    reciprocal = torch.tensor(0x3B124925, dtype=torch.int32).view(torch.float32).to(x.device)
    bits = (largest * reciprocal).view(torch.int32)
    scales = (bits >> 23) + ((bits & 0x7FFFFF) != 0).int()
    quotient = groups.double() / decode_e8m0(scales)[..., None]
    codes = quotient.clamp(-448, 448).float().to(torch.float8_e4m3fn)
    return codes.view(torch.uint8).flatten(-2), scales.to(torch.uint8)


# The model's experts, in f64, with its roundings.

def compute_experts(sizes, weights, x, ids, routing):
    """[T, A, hidden] in bf16 of f64 rows [T, hidden]; `weights` by role: ("w1", "weight") and so on."""
    tokens, active = ids.shape
    result = torch.zeros(tokens * active, sizes["hidden"], dtype=torch.bfloat16, device=x.device)
    flat = ids.flatten().long()
    for expert in flat.unique().tolist():
        pairs = (flat == expert).nonzero().flatten()
        w1, w3, w2 = (decode_fp4(weights[name, "weight"][expert], weights[name, "scale"][expert]) for name in ("w1", "w3", "w2"))
        rows = x[pairs // active]
        gate = (rows @ w1.t()).to(torch.bfloat16).double()
        up = (rows @ w3.t()).to(torch.bfloat16).double()
        if sizes["limit"]:
            gate, up = gate.clamp(max=sizes["limit"]), up.clamp(-sizes["limit"], sizes["limit"])
        hidden = gate / (1 + (-gate).exp()) * up * routing.flatten()[pairs].double()[:, None]
        hidden = decode_rows(*quantise_rows(hidden.float().to(torch.bfloat16)))
        result[pairs] = (hidden @ w2.t()).to(torch.bfloat16)
    return result.view(tokens, active, -1)


def compare(actual, expected):
    """Relative root mean squares of all and of the worst row; infinite if a number is not finite."""
    actual, expected = actual.double().flatten(0, -2), expected.double().flatten(0, -2)
    if not torch.isfinite(actual).all():
        return math.inf, math.inf
    difference, size = (actual - expected).square().sum(-1), expected.square().sum(-1)
    rows = (difference / size.clamp(min=1e-300)).sqrt()
    return (difference.sum() / size.sum().clamp(min=1e-300)).sqrt().item(), rows.max().item()


# Devices.

class KernelNode(ctypes.Structure):
    """CUDA_KERNEL_NODE_PARAMS, version 2."""
    _fields_ = [("function", ctypes.c_void_p), ("grid", ctypes.c_uint * 3), ("block", ctypes.c_uint * 3),
                ("shared_bytes", ctypes.c_uint), ("parameters", ctypes.POINTER(ctypes.c_void_p)), ("extra", ctypes.c_void_p),
                ("kernel", ctypes.c_void_p), ("context", ctypes.c_void_p)]


class CudaCode:
    """Kernels of an NVIDIA target; launches run in torch's current stream."""

    def __init__(self, folder, entry):
        import bench_rivals
        self.cuda, self.check, self.rivals = bench_rivals.cuda, bench_rivals.check, bench_rivals
        torch.zeros(1, device="cuda")  # makes the context
        self.kernels, self.functions = entry["kernels"], []
        for kernel in self.kernels:
            with open(os.path.join(folder, kernel["file"]), "rb") as file:
                image = file.read() + b"\0"
            module, function = ctypes.c_void_p(), ctypes.c_void_p()
            self.check(self.cuda.cuModuleLoadData(ctypes.byref(module), image), "loading " + kernel["file"])
            self.check(self.cuda.cuModuleGetFunction(ctypes.byref(function), module, kernel["function"].encode()),
                       "finding " + kernel["function"])
            self.check(self.cuda.cuFuncSetAttribute(function, bench_rivals.MAX_DYNAMIC_SHARED, kernel["shared_bytes"]),
                       "shared memory")
            self.functions.append(function)

    def resident(self, kernel):
        blocks = ctypes.c_int()
        self.check(self.cuda.cuOccupancyMaxActiveBlocksPerMultiprocessor(
            ctypes.byref(blocks), self.functions[kernel], self.kernels[kernel]["threads"],
            ctypes.c_size_t(self.kernels[kernel]["shared_bytes"])), "occupancy")
        return blocks.value * torch.cuda.get_device_properties(0).multi_processor_count

    def _parameters(self, launch):
        words = [ctypes.c_uint64(word) for word in launch.words]
        maps = self.kernels[launch.kernel]["tensor_maps"]
        words += [self._encode_map(entry, *view) for entry, view in zip(maps, launch.maps, strict=True)]
        pointers = (ctypes.c_void_p * len(words))(*[ctypes.addressof(word) for word in words])
        return words, pointers

    def _encode_map(self, entry, address, sizes, strides):
        rank = len(sizes)
        memory = ctypes.create_string_buffer(128 + 64)
        aligned = (ctypes.addressof(memory) + 63) & ~63
        self.check(self.cuda.cuTensorMapEncodeTiled(
            ctypes.c_void_p(aligned), self.rivals.TENSOR_MAP_TYPES.get(entry["element"], 0), rank, ctypes.c_void_p(address),
            (ctypes.c_uint64 * rank)(*sizes[::-1]), (ctypes.c_uint64 * max(1, rank - 1))(*strides[-2::-1]),
            (ctypes.c_uint32 * rank)(*entry["box"][::-1]), (ctypes.c_uint32 * rank)(*([1] * rank)),
            0, self.rivals.SWIZZLES[entry["swizzle"]], 2, 0), "tensor map")
        return (ctypes.c_uint8 * 128).from_buffer_copy(ctypes.string_at(aligned, 128))

    def _stream(self):
        return ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)

    def bind(self, launch):
        """A function that puts the launch into the stream."""
        kernel, (words, pointers) = self.kernels[launch.kernel], self._parameters(launch)
        function, stream, grid = self.functions[launch.kernel], self._stream(), (launch.grid + [1, 1])[:3]

        def enqueue():
            self.check(self.cuda.cuLaunchKernel(function, *grid, kernel["threads"], 1, 1, kernel["shared_bytes"], stream,
                                                pointers, None), "launch")
        enqueue.keep = words
        return enqueue

    def run(self, launches):
        for launch in launches:
            self.bind(launch)()
        torch.cuda.synchronize()

    def record(self, launches):
        """A function that replays the launches as one graph, as the runtime makes it: a node each, behind those that it
        must wait for."""
        graph, executable = ctypes.c_void_p(), ctypes.c_void_p()
        self.check(self.cuda.cuGraphCreate(ctypes.byref(graph), 0), "graph")
        nodes, kept = [], []
        for launch in launches:
            kernel, (words, pointers) = self.kernels[launch.kernel], self._parameters(launch)
            node, added = KernelNode(), ctypes.c_void_p()
            node.function = self.functions[launch.kernel]
            node.grid, node.block = (ctypes.c_uint * 3)(*(launch.grid + [1, 1])[:3]), (ctypes.c_uint * 3)(kernel["threads"], 1, 1)
            node.shared_bytes = kernel["shared_bytes"]
            node.parameters = ctypes.cast(pointers, ctypes.POINTER(ctypes.c_void_p))
            before = (ctypes.c_void_p * max(1, len(launch.after)))(*[nodes[i] for i in launch.after])
            self.check(self.cuda.cuGraphAddKernelNode_v2(ctypes.byref(added), graph, before, ctypes.c_size_t(len(launch.after)),
                                                         ctypes.byref(node)), "graph node")
            nodes.append(added.value)
            kept.append((words, pointers))
        self.check(self.cuda.cuGraphInstantiateWithFlags(ctypes.byref(executable), graph, ctypes.c_ulonglong(0)), "graph")

        def replay():
            self.check(self.cuda.cuGraphLaunch(executable, self._stream()), "graph launch")
        replay.keep = kept
        return replay


# Data.

def make_bytes(element, shape, device, fill=0xFF):
    """Memory whose numbers are NaN or large."""
    return torch.full((programs.count_bytes(element, shape),), fill, dtype=torch.uint8, device=device)


class Experts:
    """A compiled program and its weights, random codes."""

    def __init__(self, folder, entry, device):
        if "x_scale" not in {port["name"] for port in entry["ports"]}:
            raise SystemExit(f"{entry['name']}: expected rows of codes, as policies native and native-fast have them")
        self.entry, self.sizes, self.device = entry, entry["sizes"], device
        self.program = programs.Program(entry)
        self.code = (CudaCode if device == "cuda" else programs.CpuCode)(folder, entry)
        self.weights, self.roles = {}, {}
        for name, (element, shape) in self.program.get_weights().items():
            # Scales for which some of the activation's inputs reach its limit.
            low, high = (0, 256) if element == "f4E2M1FN" else (self.get_middle_scale() - 1, self.get_middle_scale() + 2)
            tensor = torch.randint(low, high, (programs.count_bytes(element, shape),), dtype=torch.uint8, device=device)
            self.weights[name] = tensor
            self.roles[tuple(name.split(".")[-2:])] = tensor.view(shape[0], shape[1], -1)

    def get_middle_scale(self):
        # A product of K numbers of about 1 and codes of about 3 is about 4.
        return 127 + round(math.log2(4 / (3 * math.sqrt(self.sizes["hidden"]))))

    def make_tokens(self, ids):
        """Ports of a step with these experts, as bytes, with the output poisoned, and the rows in f64."""
        ports = {name: make_bytes(element, shape, self.device)
                 for name, (element, shape, _) in self.program.get_ports(len(ids)).items()}
        x = torch.randn(len(ids), self.sizes["hidden"], device=self.device).to(torch.bfloat16)
        codes, scales = quantise_rows(x)
        routing = torch.rand(ids.shape, device=self.device) * 0.5 + 0.05
        self.fill(ports, codes, scales, ids, routing)
        return ports

    def fill(self, ports, codes, scales, ids, routing):
        for name, value in (("x", codes), ("x_scale", scales), ("ids", ids.to(torch.int32)), ("weights", routing)):
            ports[name].copy_(value.contiguous().view(torch.uint8).flatten())

    def draw_ids(self, tokens):
        """Distinct experts of each token, all with equal probability."""
        return torch.rand(tokens, self.sizes["experts"], device=self.device).argsort(1)[:, :self.sizes["active"]]

    def draw_sets(self, tokens, count):
        """Experts of several sets of tokens; none in two sets where there are enough."""
        if count * tokens * self.sizes["active"] > self.sizes["experts"]:
            return [self.draw_ids(tokens) for _ in range(count)]
        order = torch.randperm(self.sizes["experts"], device=self.device)[:count * tokens * self.sizes["active"]]
        return list(order.view(count, tokens, self.sizes["active"]))

    def make_scratch(self, tokens):
        return {i: make_bytes("i8", [size], self.device) for i, size in self.program.get_scratch(tokens).items()}

    def prepare(self, tokens, ports, scratch):
        def address(memories):
            return {name: tensor.data_ptr() for name, tensor in memories.items()}
        return self.program.prepare(tokens, address(ports), address(self.weights), address(scratch), self.code.resident)

    def get_output(self, ports):
        name = next(name for name, (_, _, is_output) in self.program.get_ports(1).items() if is_output)
        return ports[name].view(torch.bfloat16).view(-1, self.sizes["active"], self.sizes["hidden"])

    def get_expected(self, ports):
        tokens = ports["ids"].numel() // 4 // self.sizes["active"]
        ids = ports["ids"].view(torch.int32).view(tokens, -1)
        x = decode_rows(ports["x"].view(tokens, -1), ports["x_scale"].view(tokens, -1))
        return compute_experts(self.sizes, self.roles, x, ids, ports["weights"].view(torch.float32).view(tokens, -1))

    def check(self, tokens, ports, scratch):
        """Error of all rows, of the worst, and whether a second run gives the same bits."""
        launches = self.prepare(tokens, ports, scratch)
        self.code.run(launches)
        first = self.get_output(ports).clone()
        errors = compare(first, self.get_expected(ports))
        self.get_output(ports).view(torch.uint8).fill_(0xFF)
        self.code.run(launches)
        return *errors, torch.equal(first.view(torch.uint8), self.get_output(ports).view(torch.uint8))


# Time.

def measure_copy():
    """GB/s of a copy of 2 GiB, read and written."""
    source = torch.randint(0, 256, (2 << 30,), dtype=torch.uint8, device="cuda")
    other = torch.empty_like(source)
    return 2 * source.numel() / statistics.median(time_events([lambda: other.copy_(source)], 20)) / 1e3


def time_events(launches, rounds, group=1):
    """Times in µs of `rounds` groups of launches, in turn, a launch; two groups before are not counted."""
    events = []
    for number in range(rounds + 2):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for i in range(group):
            launches[(number * group + i) % len(launches)]()
        end.record()
        events.append((begin, end))
    torch.cuda.synchronize()
    return [begin.elapsed_time(end) * 1e3 / group for begin, end in events[2:]]


def time_kernels(experts, sets, rounds):
    """Median µs of each launch by itself, in order, with what lies between two launches."""
    times, bound = [[] for _ in sets[0]], [[experts.code.bind(launch) for launch in launches] for launches in sets]
    for number in range(rounds + 2):
        events = [torch.cuda.Event(enable_timing=True) for _ in range(len(sets[0]) + 1)]
        # The device must not wait for the next launch.
        torch.cuda._sleep(1_000_000)
        events[0].record()
        for enqueue, event in zip(bound[number % len(bound)], events[1:]):
            enqueue()
            event.record()
        torch.cuda.synchronize()
        if number >= 2:
            for i, list_ in enumerate(times):
                list_.append(events[i].elapsed_time(events[i + 1]) * 1e3)
    return [statistics.median(list_) for list_ in times]


def get_specified_bytes(sizes, tokens):
    """What the specification's floor counts: the experts that as many tokens choose on average, and for every pair of a
    token and an expert its row, both gated results in bf16, its hidden row as codes and its result in bf16."""
    chosen = sizes["experts"] * (1 - (1 - sizes["active"] / sizes["experts"]) ** tokens)
    row = sizes["hidden"] + 2 * 2 * sizes["inner"] + sizes["inner"] + 2 * sizes["hidden"]
    return chosen * sizes["expert_bytes"] + tokens * sizes["active"] * row


def bench(experts, tokens, rounds, copy_gbps):
    sizes = experts.sizes
    ids = experts.draw_sets(tokens, 16 if tokens < 1024 else 3)
    made = [experts.make_tokens(chosen) for chosen in ids]
    scratch = experts.make_scratch(tokens)
    rms, worst, repeats = experts.check(tokens, made[0], scratch)
    bounds = get_bounds(experts.entry)
    result = dict(tokens=tokens, rms=rms, worst_row=worst, repeats=repeats,
                  ok=rms <= bounds[0] and worst <= bounds[1] and repeats, bounds=bounds)
    sets = [experts.prepare(tokens, ports, scratch) for ports in made]
    graphs = [experts.code.record(launches) for launches in sets]
    group = len(graphs) if tokens < 1024 else 1
    times = time_events(graphs, max(3, rounds // group) if tokens < 1024 else rounds, group)
    result["us"], result["fastest_us"], result["slowest_us"] = statistics.median(times), min(times), max(times)
    kernels = experts.entry["kernels"]
    result["kernels"] = [(kernels[launch.kernel]["function"], us) for launch, us in
                         zip(sets[0], time_kernels(experts, sets, min(rounds, 20)))]
    chosen = statistics.mean(len(i.unique()) for i in ids)
    pairs = tokens * sizes["active"]
    result["experts"], result["bytes"] = chosen, chosen * sizes["expert_bytes"]
    result["flops"] = pairs * 6.0 * sizes["hidden"] * sizes["inner"]
    memory, arithmetic = result["bytes"] / copy_gbps / 1e3, result["flops"] / FP8_TFLOPS / 1e6
    result["floor_us"], result["bound"] = max((memory, "memory"), (arithmetic, "FP8"))
    result["times_floor"] = result["us"] / result["floor_us"]
    result["specified_us"] = get_specified_bytes(sizes, tokens) / copy_gbps / 1e3
    result["times_specified"] = result["us"] / result["specified_us"]
    return result


def print_step(result, copy_gbps, demand, is_real):
    print(f"T={result['tokens']}: {result['us']:.1f} us ({result['fastest_us']:.1f} to {result['slowest_us']:.1f}) | "
          f"{result['experts']:.1f} experts, {result['bytes'] / 1e6:.1f} MB, {result['bytes'] / result['us'] / 1e3:.0f} GB/s, "
          f"{result['flops'] / result['us'] / 1e6:.0f} TFLOPS | floor {result['floor_us']:.1f} us ({result['bound']}): "
          f"{result['times_floor']:.2f} times")
    on_h200 = ""
    if is_real and result["tokens"] in SPECIFIED_US:
        on_h200 = f" ({SPECIFIED_US[result['tokens']]} us on an H200 at {SPECIFIED_GBPS} GB/s)"
    print(f"  specification's floor, with rows between the products, {result['specified_us']:.1f} us at {copy_gbps:.0f} GB/s"
          f"{on_h200}: {result['times_specified']:.2f} times, demanded {demand}: "
          f"{'met' if result['times_specified'] <= demand else 'MISSED'}")
    print(f"  error {result['rms']:.1e} (bound {result['bounds'][0]}), worst row {result['worst_row']:.1e} "
          f"({result['bounds'][1]}), {'the same bits again' if result['repeats'] else 'OTHER BITS AGAIN'}: "
          f"{'ok' if result['ok'] else 'WRONG'}")
    for name, us in result["kernels"]:
        print(f"    {us:9.1f} us  {name}")
    sys.stdout.flush()


def load(folder):
    with open(os.path.join(folder, "kernels.json")) as file:
        entries = [entry for entry in json.load(file).get("programs", []) if entry["kind"] == "experts-fp4"]
    if not entries:
        raise SystemExit(f"{folder}: expected experts in kernels.json; varve bench kernels --only=experts-fp4 -o {folder}")
    return entries[0]


def check_on_processor(experts, tokens, bounds):
    ports = experts.make_tokens(experts.draw_ids(tokens))
    rms, worst, repeats = experts.check(tokens, ports, experts.make_scratch(tokens))
    ok = rms <= bounds[0] and worst <= bounds[1] and repeats
    print(f"T={tokens}: error {rms:.1e}, worst row {worst:.1e}: {'ok' if ok else 'WRONG'}", flush=True)
    return ok


def run(folder, options):
    """The number of steps that failed, and the results of those that were timed."""
    entry = load(folder)
    torch.manual_seed(0)
    if entry["target"].startswith("x86"):
        experts = Experts(folder, entry, "cpu")
        return sum(not check_on_processor(experts, tokens, get_bounds(entry)) for tokens in options.tokens), None
    experts = Experts(folder, entry, "cuda")
    copy_gbps = measure_copy()
    print(f"{torch.cuda.get_device_name(0)}, torch {torch.__version__}: {folder}: {entry['name']}, {entry['precision']}, {entry['target']}; "
          f"a copy moves {copy_gbps:.0f} GB/s, FP8 products count as {FP8_TFLOPS} TFLOPS", flush=True)
    steps, failed = [], 0
    for tokens in options.tokens:
        step = bench(experts, tokens, options.rounds, copy_gbps)
        steps.append(step)
        failed += not step["ok"] or (options.demand is not None and step["times_specified"] > options.demand)
        print_step(step, copy_gbps, options.demand or 2.5, is_real=entry["name"] == "experts-fp4 256x4096x2048")
        torch.cuda.empty_cache()
    return failed, dict(folder=folder, device=torch.cuda.get_device_name(0), copy_gbps=copy_gbps,
                        precision=entry["precision"], steps=steps)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    parser.add_argument("--tokens", default="1,32,128,4096", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--demand", type=float, help="fail if a step takes longer than this many times the specification's floor")
    parser.add_argument("--json")
    options = parser.parse_args()
    results, failed = [], 0
    for folder in options.folders:
        wrong, result = run(folder, options)
        failed += wrong
        results.append(result)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
