#!/usr/bin/env python3
"""Compute a test case with Hugging Face transformers.

    make_reference.py OUT_DIR CASE.json...

Builds a random DeepSeek-V4 model of the sizes in each case file, runs it in
float32 on the CPU, and writes OUT_DIR/<name of the case file>/ with config.json,
model.safetensors and reference.safetensors (README.md lists the tensors).

A case file holds
    "seed"     of weights and token ids
    "batch", "prompt", "decode"
               sequences, tokens of the first step, tokens of one step each
    "config"   arguments of DeepseekV4Config

Of index scores that are exactly equal (zero, since every head's product was
negative) the lower entry is chosen; transformers leaves that to torch.topk,
whose choice differs between devices.

A case is refused when its numbers could depend on more than the model: when
decoding differs from computing the whole sequence at once, or when a choice (of
index entries, of experts) is so close that another order of additions could
make it differently. Another seed is the cure.

Needs torch and transformers 5.17. Nothing else in Varve does.
"""
import argparse
import contextlib
import dataclasses
import json
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import DeepseekV4Config, DeepseekV4ForCausalLM
from transformers.utils import logging

# Mean and standard deviation of parameters and buffers by the end of their
# names; the first match counts. Anything else is a matrix [out, in], whose
# deviation is `MATRIX_GAIN` / sqrt(in).
DISTRIBUTIONS = [
    ("norm.weight", 1.0, 0.25),
    ("sinks", 0.5, 1.0),
    ("position_bias", 0.0, 0.8),
    ("e_score_correction_bias", 0.0, 0.15),
    ("embed_tokens.weight", 0.0, 1.0),
    ("hc.base", 0.0, 0.7),
    ("hc_head.hc_base", 0.0, 0.7),
    ("hc.scale", 0.9, 0.3),
    ("hc_head.hc_scale", 0.9, 0.3),
]
MATRIX_GAIN = 1.4

# float32 sums of these sizes differ by less than 1e-5 between orders.
SMALLEST_MARGIN = 4e-5
LARGEST_DRIFT = 5e-5


class Refused(Exception):
    """The case's numbers would not be a fair reference."""


@dataclasses.dataclass
class Margins:
    """How far the closest choices of a run were from falling out otherwise."""

    index: float = float("inf")
    router: float = float("inf")
    ties: int = 0

    def watch(self, model: DeepseekV4ForCausalLM) -> None:
        for layer in model.model.layers:
            if hasattr(layer.mlp.gate, "e_score_correction_bias"):
                layer.mlp.gate.register_forward_hook(self._after_router)
            indexer = getattr(layer.self_attn.compressor, "indexer", None)
            if indexer is not None:
                indexer.scorer.register_forward_hook(self._after_scores)
                indexer.register_forward_hook(self._after_indexer)

    def _after_scores(self, module, args, scores) -> None:
        self._scores = scores

    def _after_indexer(self, indexer, args, chosen) -> None:
        positions, scores = args[2], self._scores
        visible = (positions + 1) // indexer.compress_rate
        entries = torch.arange(scores.shape[-1])
        ranked = scores.masked_fill(entries >= visible[..., None], -torch.inf).sort(-1, descending=True).values
        cut = indexer.index_topk
        if cut < ranked.shape[-1]:
            last, next_ = (ranked[..., i][(visible > cut).expand(ranked.shape[:-1])] for i in (cut - 1, cut))
            tied = (last == 0) & (next_ == 0)
            self.ties += tied.sum().item()
            self.index = min([self.index, *(last - next_)[~tied].tolist()])

    def _after_router(self, router, args, result) -> None:
        logits = result[0]
        ranked = (router.score_fn(logits) + router.e_score_correction_bias).sort(-1, descending=True).values
        if router.top_k < ranked.shape[-1]:
            self.router = min(self.router, (ranked[:, router.top_k - 1] - ranked[:, router.top_k]).min().item())


def draw_weights(model: DeepseekV4ForCausalLM, generator: torch.Generator) -> None:
    """Fills every tensor of the model; all numbers are bfloat16 numbers."""
    named = list(model.named_parameters()) + [
        (name, buffer) for name, buffer in model.named_buffers() if not name.endswith("inv_freq")
    ]
    for name, tensor in named:
        if name.endswith("tid2eid"):
            table = torch.rand(tensor.shape[0], model.config.n_routed_experts, generator=generator)
            tensor.copy_(table.argsort(-1)[:, : tensor.shape[1]])
            continue
        mean, deviation = next(
            ((m, d) for suffix, m, d in DISTRIBUTIONS if name.endswith(suffix)),
            (0.0, MATRIX_GAIN * tensor.shape[-1] ** -0.5),
        )
        values = torch.randn(tensor.shape, generator=generator) * deviation + mean
        tensor.copy_(values.bfloat16())


@contextlib.contextmanager
def lower_entry_first():
    """Within this context the indexer's topk() is a stable sort."""
    original = torch.Tensor.topk

    def topk(scores, k, dim):
        values, indices = scores.sort(dim=dim, descending=True, stable=True)
        return torch.return_types.topk((values.narrow(dim, 0, k), indices.narrow(dim, 0, k)))

    torch.Tensor.topk = topk
    try:
        yield
    finally:
        torch.Tensor.topk = original


def record_streams(model: DeepseekV4ForCausalLM, streams: dict) -> list:
    """Makes each forward pass leave the streams around every layer in `streams`."""

    def enters(index):
        return lambda module, args, kwargs: streams.update({f"hidden.{index}": args[0] if args else kwargs["hidden_states"]})

    layers = model.model.layers
    handles = [layer.register_forward_pre_hook(enters(i), with_kwargs=True) for i, layer in enumerate(layers)]
    handles.append(layers[-1].register_forward_hook(
        lambda module, args, result: streams.update({f"hidden.{len(layers)}": result})))
    return handles


def compute(model: DeepseekV4ForCausalLM, ids: torch.Tensor, prompt: int) -> dict[str, torch.Tensor]:
    streams: dict[str, torch.Tensor] = {}
    handles = record_streams(model, streams)
    first = model(ids[:, :prompt], use_cache=True)
    for handle in handles:
        handle.remove()
    cache, rows = first.past_key_values, []
    for position in range(prompt, ids.shape[1]):
        step = model(ids[:, position : position + 1], past_key_values=cache, use_cache=True)
        cache = step.past_key_values
        rows.append(step.logits[:, 0])
    decoded = torch.stack(rows, 1)
    drift = (decoded - model(ids, use_cache=False).logits[:, prompt:]).abs().max().item()
    if not drift <= LARGEST_DRIFT:
        raise Refused(f"decoding and one step over the whole sequence differ by {drift:.1e}")
    return {"input_ids": ids, "prefill_logits": first.logits, "decode_logits": decoded, **streams}


def save_model(model: DeepseekV4ForCausalLM, folder: pathlib.Path) -> None:
    """Writes the checkpoint; matrices take two bytes an element, at no loss."""
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    path = folder / "model.safetensors"
    tensors = load_file(path)
    for name, tensor in tensors.items():
        if name.endswith(".weight") and tensor.dim() == 2:
            tensors[name] = tensor.bfloat16()
            if not torch.equal(tensors[name].float(), tensor):
                raise Refused(f"{name} is not a bfloat16 tensor")
    save_file(tensors, path, metadata={"format": "pt"})


def make(path: pathlib.Path, out: pathlib.Path) -> None:
    case = json.loads(path.read_text())
    generator = torch.Generator().manual_seed(case["seed"])
    # The default, grouped products, would depend on the machine's kernels.
    config = DeepseekV4Config(**case["config"], attn_implementation="eager", experts_implementation="eager")
    model = DeepseekV4ForCausalLM(config).float().eval()
    draw_weights(model, generator)
    margins = Margins()
    margins.watch(model)
    ids = torch.randint(config.vocab_size, (case["batch"], case["prompt"] + case["decode"]), generator=generator)
    with lower_entry_first():
        tensors = compute(model, ids, case["prompt"])
    for what, margin in (("index entries", margins.index), ("experts", margins.router)):
        if margin < SMALLEST_MARGIN:
            raise Refused(f"a choice of {what} is decided by {margin:.1e}")
    folder = out / path.stem
    folder.mkdir(parents=True, exist_ok=True)
    save_model(model, folder)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "reference.safetensors")
    print(f"{folder}: margins {margins.index:.1e} (index, {margins.ties} ties), {margins.router:.1e} (router), "
          f"deviation of logits {tensors['prefill_logits'].std().item():.2f}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Compute test cases with Hugging Face transformers.")
    parser.add_argument("out", type=pathlib.Path, metavar="OUT_DIR")
    parser.add_argument("cases", type=pathlib.Path, nargs="+", metavar="CASE.json")
    args = parser.parse_args()
    logging.disable_progress_bar()
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    failures = 0
    for path in args.cases:
        try:
            make(path, args.out)
        except Refused as refused:
            print(f"error: {path}: {refused}; try another seed", file=sys.stderr)
            failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
