"""Runs the x86 program of experts in a folder of `varve bench kernels` and compares it with plain loops.

    run_experts.py SCRIPTS FOLDER TOKENS...

Codes, scales and routing are random; the loops decode them, sum in f64, and round where the model does.
"""
import bisect, ctypes, json, math, operator, os, random, struct, sys

sys.path.insert(0, sys.argv[1])
import programs

E2M1 = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
E2M1 += [-value for value in E2M1]
E4M3 = [(code & 7) * 2.0**-9 if code < 8 else (8 + (code & 7)) * 2.0**((code >> 3) - 10) for code in range(127)]


def to_f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def to_bf16(x):
    bits = struct.unpack("<I", struct.pack("<f", x))[0]
    bits += 0x7FFF + (bits >> 16 & 1)
    return struct.unpack("<f", struct.pack("<I", bits & 0xFFFF0000))[0]


def to_e4m3(x):
    magnitude = min(abs(x), 448.0)
    above = bisect.bisect_left(E4M3, magnitude)
    if E4M3[above] != magnitude:
        middle = (E4M3[above - 1] + E4M3[above]) / 2
        if magnitude < middle or (magnitude == middle and above % 2 == 1):
            above -= 1
    return math.copysign(E4M3[above], x)


def requantise(row, block=128):
    result = []
    for begin in range(0, len(row), block):
        group = row[begin:begin + block]
        largest = to_f32(max(max(map(abs, group)), to_f32(1e-4)))
        mantissa, exponent = math.frexp(to_f32(largest * struct.unpack("<f", struct.pack("<I", 0x3B124925))[0]))
        scale = math.ldexp(1.0, exponent - (mantissa == 0.5))
        result += [to_e4m3(x / scale) * scale for x in group]
    return result


class Weight:
    """Codes of all experts; rows are decoded when they are needed."""

    def __init__(self, codes, scales, rows, columns):
        self.codes, self.scales, self.rows, self.columns, self.decoded = codes, scales, rows, columns, {}

    def get(self, expert):
        if expert not in self.decoded:
            self.decoded[expert] = [self._decode(expert * self.rows + row) for row in range(self.rows)]
        return self.decoded[expert]

    def _decode(self, row):
        half, groups = self.columns // 2, self.columns // 32
        values = []
        for i, byte in enumerate(self.codes[row * half:(row + 1) * half]):
            scale = 2.0**(self.scales[row * groups + i // 16] - 127)
            values += [E2M1[byte & 15] * scale, E2M1[byte >> 4] * scale]
        return values

    def times(self, expert, x):
        return [to_bf16(sum(map(operator.mul, row, x))) for row in self.get(expert)]


def expect(sizes, weights, x, ids, routing):
    rows = []
    for pair, expert in enumerate(ids):
        gate, up = (weights[name].times(expert, x[pair // sizes["active"]]) for name in ("w1", "w3"))
        limit, hidden = sizes["limit"], []
        for g, u in zip(gate, up):
            g, u = min(g, limit), max(-limit, min(limit, u))
            hidden.append(to_bf16(to_f32(g / (1 + math.exp(-g)) * u * routing[pair])))
        rows.append(weights["w2"].times(expert, requantise(hidden)))
    return rows


def run(code, program, sizes, memories, weights, tokens):
    draw, hidden, pairs = random.Random(tokens), sizes["hidden"], tokens * sizes["active"]
    ids = [expert for _ in range(tokens) for expert in draw.sample(range(sizes["experts"]), sizes["active"])]
    routing = [to_f32(draw.random()) for _ in range(pairs)]
    codes = bytes(draw.choice([draw.randrange(127), 128 + draw.randrange(127)]) for _ in range(tokens * hidden))
    scales = bytes(draw.randrange(117, 120) for _ in range(tokens * hidden // 128))
    x = [[math.copysign(E4M3[codes[i] & 127], 0.5 - (codes[i] >> 7)) * 2.0**(scales[i // 128] - 127)
          for i in range(token * hidden, (token + 1) * hidden)] for token in range(tokens)]
    ports = {name: ctypes.create_string_buffer(b"\xff" * programs.count_bytes(element, shape), programs.count_bytes(element, shape))
             for name, (element, shape, _) in program.get_ports(tokens).items()}
    for name, value in (("x", codes), ("x_scale", scales), ("ids", struct.pack(f"<{pairs}i", *ids)),
                        ("weights", struct.pack(f"<{pairs}f", *routing))):
        ctypes.memmove(ports[name], value, len(value))
    scratch = {i: ctypes.create_string_buffer(b"\xff" * size, size) for i, size in program.get_scratch(tokens).items()}
    address = lambda buffers: {key: ctypes.addressof(buffer) for key, buffer in buffers.items()}
    launches = program.prepare(tokens, address(ports), address(memories), address(scratch), code.resident)
    code.run(launches)
    output = next(name for name, (_, _, is_output) in program.get_ports(1).items() if is_output)
    actual = [bits << 16 for bits in struct.unpack(f"<{pairs * hidden}H", ports[output].raw)]
    worst = 0.0
    for pair, row in enumerate(expect(sizes, weights, x, ids, routing)):
        mine = struct.unpack(f"<{hidden}f", struct.pack(f"<{hidden}I", *actual[pair * hidden:(pair + 1) * hidden]))
        error = math.sqrt(sum((a - b)**2 for a, b in zip(mine, row)) / sum(b * b for b in row))
        worst = max(worst, error if error == error else math.inf)
    print(f"{tokens} tokens, {len(launches)} launches, waits {[launch.after for launch in launches]}: "
          f"{'close' if worst <= 1e-2 else f'off by {worst}'}")


def main():
    with open(os.path.join(sys.argv[2], "kernels.json")) as file:
        entry = json.load(file)["programs"][0]
    program, code, draw = programs.Program(entry), programs.CpuCode(sys.argv[2], entry), random.Random(1)
    memories, parts = {}, {}
    for name, (element, shape) in program.get_weights().items():
        size = programs.count_bytes(element, shape)
        data = draw.randbytes(size) if element == "f4E2M1FN" else bytes(draw.randrange(121, 125) for _ in range(size))
        memories[name] = ctypes.create_string_buffer(data, size)
        parts[tuple(name.split(".")[-2:])] = data, shape
    weights = {name: Weight(parts[name, "weight"][0], parts[name, "scale"][0], *parts[name, "weight"][1][1:])
               for name in ("w1", "w3", "w2")}
    for tokens in sys.argv[3:]:
        run(code, program, entry["sizes"], memories, weights, int(tokens))


main()
