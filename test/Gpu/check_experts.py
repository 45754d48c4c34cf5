#!/usr/bin/env python3
"""Runs the experts that `varve bench kernels --only=experts-fp4` compiled on numbers that strain their scales.

    check_experts.py FOLDER [--tokens=N,...]

Every case runs with ragged numbers of tokens, so that all strategies and tiles that are not full occur, and with routing
that is random or gives one expert all tokens. All rows are compared with torch in f64 (tools/scripts/bench_experts.py),
and must have the same bits in a second run.

    plain      scales within a factor of four
    matched    scales of x differ by up to 2^40 within a row, and its codes by 2^13 within a group; scales of the weights
               differ the other way round, within groups too, so that all columns matter as much; hidden rows likewise
    zeros      groups of zero codes, in x with scale code 0, in the weights with scale codes 0 and 250; rows of zeros
    tiny       scale codes 0 to 4 with codes that are not zero, which add nothing that a sum could hold
    large      scale codes up to 250 where x is zero

Prints a line per case and a last line with totals. Runs programs for x86 targets too. Needs PyTorch.
"""
import argparse, os, sys
import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/scripts"))
import bench_experts
from bench_experts import Experts

GROUP, BLOCK = 128, 32  # columns of a scale of x, and of one of the weights


class Strain:
    """Sets weights and makes rows; the plain case."""
    name = "plain"

    def __init__(self, experts):
        self.experts, self.sizes, self.device = experts, experts.sizes, experts.device
        self.middle = experts.get_middle_scale()
        for (name, part), tensor in experts.roles.items():
            if part == "weight":
                tensor.copy_(self.draw(0, 256, *tensor.shape))
            else:
                tensor.copy_(self.draw(self.middle - 1, self.middle + 2, *tensor.shape))
        self.set_weights()

    def draw(self, low, high, *shape):
        return torch.randint(low, high, shape, dtype=torch.int32, device=self.device).to(torch.uint8)

    def pick(self, one_in, *shape):
        return torch.randint(0, one_in, shape, device=self.device) == 0

    def set_weights(self):
        pass

    def make_codes(self, low, high, *shape):
        """E4M3 codes of numbers from 2^low up to below 2^(high + 1) of both signs."""
        return self.draw((low + 7) << 3, (high + 8) << 3, *shape) | self.draw(0, 2, *shape) << 7

    def make_rows(self, tokens):
        """Codes and scales of x: numbers of about 1."""
        hidden = self.sizes["hidden"]
        return self.make_codes(-2, 1, tokens, hidden), self.draw(126, 128, tokens, hidden // GROUP)

    def zero(self, name, chosen, scale):
        """Zero codes, of both signs, and a scale code, in blocks of a weight."""
        codes = self.experts.roles[name, "weight"].unflatten(-1, (-1, BLOCK // 2))
        codes.masked_fill_(chosen[..., None], 0x80)
        self.experts.roles[name, "scale"].masked_fill_(chosen, scale)


class Matched(Strain):
    name = "matched"

    def set_weights(self):
        hidden, inner = self.sizes["hidden"], self.sizes["inner"]
        # Exponents of x: of groups, and in a group of codes.
        self.groups = -self.draw(0, 41, hidden // GROUP).int()
        self.groups[0], self.groups[-1] = 0, -40
        self.blocks = self.draw(0, 13, hidden // BLOCK).int() - 6
        # Halves of those of the hidden rows' groups.
        rows = -self.draw(0, 6, inner // GROUP).int()
        columns = (self.groups.repeat_interleave(GROUP // BLOCK) + self.blocks)[None]
        for name in ("w1", "w3"):
            self.add_to_scales(name, rows.repeat_interleave(GROUP)[:, None] - columns)
        self.add_to_scales("w2", (-2 * rows).repeat_interleave(GROUP // BLOCK)[None])

    def add_to_scales(self, name, exponents):
        scales = self.experts.roles[name, "scale"]
        for expert in range(len(scales)):
            scales[expert] = (scales[expert].int() + exponents).clamp(0, 250).to(torch.uint8)

    def make_rows(self, tokens):
        codes = self.draw(0, 8, tokens, self.sizes["hidden"]) | self.draw(0, 2, tokens, self.sizes["hidden"]) << 7
        exponents = ((self.blocks + 7) << 3).to(torch.uint8).repeat_interleave(BLOCK)
        return codes + exponents, (self.groups + self.draw(125, 129, tokens, len(self.groups)).int()).to(torch.uint8)


class Zeros(Strain):
    name = "zeros"

    def set_weights(self):
        for name in ("w1", "w3", "w2"):
            shape = self.experts.roles[name, "scale"].shape
            self.zero(name, self.pick(6, *shape), 0)
            self.zero(name, self.pick(6, *shape), 250)

    def make_rows(self, tokens):
        codes, scales = super().make_rows(tokens)
        chosen = self.pick(4, *scales.shape) | self.pick(8, tokens, 1)
        scales.masked_fill_(chosen, 0)
        codes.unflatten(-1, (-1, GROUP)).masked_fill_(chosen[..., None], 0)
        return codes, scales


class Tiny(Strain):
    name = "tiny"

    def set_weights(self):
        for name in ("w1", "w3", "w2"):
            scales = self.experts.roles[name, "scale"]
            scales.copy_(torch.where(self.pick(3, *scales.shape), self.draw(0, 5, *scales.shape), scales))


class Large(Strain):
    name = "large"

    def set_weights(self):
        groups = self.sizes["hidden"] // GROUP
        self.chosen = self.pick(2, groups)
        self.chosen[0], self.chosen[-1] = True, False
        blocks = self.chosen.repeat_interleave(GROUP // BLOCK)
        for name in ("w1", "w3"):
            scales = self.experts.roles[name, "scale"]
            scales.copy_(torch.where(blocks, self.draw(128, 251, *scales.shape), scales))

    def make_rows(self, tokens):
        codes, scales = super().make_rows(tokens)
        codes.unflatten(-1, (-1, GROUP)).masked_fill_(self.chosen[None, :, None], 0)
        return codes, scales


def crowd(experts, tokens):
    """The last expert has all tokens, at any place among a token's."""
    ids = torch.rand(tokens, experts.sizes["experts"] - 1, device=experts.device).argsort(1)[:, :experts.sizes["active"]]
    place = torch.randint(0, experts.sizes["active"], (tokens, 1), device=experts.device)
    return ids.scatter(1, place, experts.sizes["experts"] - 1)


def check(strain, tokens, ids):
    experts = strain.experts
    ports = experts.make_tokens(ids)
    codes, scales = strain.make_rows(tokens)
    routing = torch.rand(ids.shape, device=experts.device) * 0.5 + 0.05
    experts.fill(ports, codes, scales, ids, routing)
    return experts.check(tokens, ports, experts.make_scratch(tokens))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--tokens", default="1,3,8,33,129,700,1600", type=lambda text: [int(n) for n in text.split(",")])
    options = parser.parse_args()
    entry = bench_experts.load(options.folder)
    device = "cpu" if entry["target"].startswith("x86") else "cuda"
    torch.manual_seed(0)
    experts = Experts(options.folder, entry, device)
    bounds = bench_experts.get_bounds(entry)
    passed = failed = 0
    for kind in (Strain, Matched, Zeros, Tiny, Large):
        strain = kind(experts)
        for tokens in options.tokens:
            for routing, ids in (("random", experts.draw_ids(tokens)), ("crowded", crowd(experts, tokens))):
                rms, worst, repeats = check(strain, tokens, ids)
                good = rms <= bounds[0] and worst <= bounds[1] and repeats
                passed, failed = passed + good, failed + (not good)
                print(f"{'ok  ' if good else 'FAIL'} {kind.name:8} {tokens:5} tokens, {routing:7}: error {rms:.1e}, worst row {worst:.1e}"
                      + ("" if repeats else ", OTHER BITS AGAIN"), flush=True)
    print(f"{entry['name']}, {entry['precision']}, {entry['target']}: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
