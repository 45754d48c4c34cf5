"""Programs of several launches that `varve bench kernels` describes in kernels.json.

What an entry means is in lib/Bench/DescribeProgram.h. Needs nothing but Python; GPUs are the caller's.
"""
import ctypes, math, os

ELEMENT_BITS = {"i8": 8, "i16": 16, "i32": 32, "i64": 64, "f16": 16, "bf16": 16, "f32": 32, "f64": 64,
                "f8E4M3FN": 8, "f8E5M2": 8, "f8E8M0FNU": 8, "f4E2M1FN": 4}
OPERATORS = {"+": lambda a, b: a + b, "*": lambda a, b: a * b, "//": lambda a, b: a // b,
             "%": lambda a, b: a % b, "ceildiv": lambda a, b: -(-a // b)}


def evaluate(expression, symbols):
    """The value of an expression: a number, a symbol's name, or [operator, left, right]."""
    if isinstance(expression, list):
        operator, left, right = expression
        return OPERATORS[operator](evaluate(left, symbols), evaluate(right, symbols))
    return symbols[expression] if isinstance(expression, str) else expression


def count_bytes(element, shape):
    elements = 1
    for size in shape:
        elements *= size
    return elements * ELEMENT_BITS[element] // 8


class Launch:
    """A launch with numbers for everything; `accesses` maps memories to whether it writes them."""

    def __init__(self, kernel, grid, words, maps, accesses):
        self.kernel, self.grid, self.words, self.maps, self.accesses = kernel, grid, words, maps, accesses
        self.after = []


class Program:
    def __init__(self, entry):
        self.entry = entry

    def get_ports(self, tokens):
        """{name: (element, shape, is output)} of what the caller provides."""
        return {port["name"]: (port["element"], [evaluate(size, {"tokens": tokens}) for size in port["shape"]], port["output"])
                for index, port in enumerate(self.entry["ports"]) if index in self._used("port")}

    def get_weights(self):
        return {weight["name"]: (weight["element"], weight["shape"]) for weight in self.entry["weights"]}

    def get_scratch(self, tokens):
        """{number: bytes} of the pieces that a step of `tokens` uses."""
        used = self._used("scratch", tokens)
        return {index: evaluate(self.entry["scratch"][index], {"tokens": tokens}) for index in sorted(used)}

    def prepare(self, tokens, ports, weights, scratch, resident):
        """The launches of a step. Memories are given by address: ports and weights by name, scratch by number;
        `resident` gives the blocks of a kernel, by number, that the device holds at once."""
        addresses = {"port": lambda i: ports[self.entry["ports"][i]["name"]],
                     "weight": lambda i: weights[self.entry["weights"][i]["name"]], "scratch": lambda i: scratch[i]}
        launches = []
        for launch in self._chosen(tokens):
            symbols = {"tokens": tokens, "resident": resident(launch["kernel"])}

            def value_of(word):
                if "value" in word:
                    return evaluate(word["value"], symbols) % 2**64
                return addresses[word["memory"]](word["index"]) + evaluate(word["offset"], symbols)

            accesses = {}
            for word in launch["words"]:
                if word.get("memory", "weight") != "weight":
                    key = word["memory"], word["index"]
                    accesses[key] = accesses.get(key, False) or word["written"]
            maps = [(value_of(m["address"]), [evaluate(s, symbols) for s in m["sizes"]],
                     [evaluate(s, symbols) for s in m["strides"]]) for m in launch["maps"]]
            launches.append(Launch(launch["kernel"], [evaluate(extent, symbols) for extent in launch["grid"]],
                                   [value_of(word) for word in launch["words"]], maps, accesses))
        add_dependencies(launches)
        return launches

    def _chosen(self, tokens):
        def holds(condition):
            value, low, high = condition
            value = evaluate(value, {"tokens": tokens})
            return low <= value and (high is None or value <= high)
        return [launch for launch in self.entry["launches"] if all(holds(condition) for condition in launch["when"])]

    def _used(self, memory, tokens=None):
        launches = self.entry["launches"] if tokens is None else self._chosen(tokens)
        return {word["index"] for launch in launches for word in launch["words"] if word.get("memory") == memory}


def add_dependencies(launches):
    """Sets `after`: the launches, by number, that each must wait for, but for those that they wait for themselves."""
    writers, readers, behind = {}, {}, []
    for number, launch in enumerate(launches):
        direct = set()
        for memory, writes in launch.accesses.items():
            if memory in writers:
                direct.add(writers[memory])
            if writes:
                direct |= readers.pop(memory, set())
                writers[memory] = number
            else:
                readers.setdefault(memory, set()).add(number)
        launch.after = [i for i in sorted(direct) if not any(i in behind[other] for other in direct)]
        behind.append(direct.union(*(behind[i] for i in direct)))


class CpuCode:
    """Kernels of an x86 target, which run on one core."""

    def __init__(self, folder, entry):
        self.kernels = entry["kernels"]
        library = ctypes.CDLL(os.path.join(os.path.abspath(folder), self.kernels[0]["file"]))
        self.functions = [getattr(library, kernel["function"]) for kernel in self.kernels]

    def resident(self, kernel):
        return 2

    def run(self, launches):
        for launch in launches:
            words = (ctypes.c_uint64 * len(launch.words))(*launch.words)
            grid = (ctypes.c_int64 * len(launch.grid))(*launch.grid)
            size = self.kernels[launch.kernel]["scratch_bytes"] + 64
            area = ctypes.create_string_buffer(size + 64)
            scratch = ctypes.c_void_p((ctypes.addressof(area) + 63) & ~63)
            self.functions[launch.kernel](words, grid, ctypes.c_int64(0), ctypes.c_int64(math.prod(launch.grid)), scratch)
