"""copy_experts.py FROM TO SETS: a checkpoint with the same experts in many layers.

Writes TO/model.safetensors: that of FROM, but the routed experts of the i-th
layer are those of layer number i modulo SETS."""

import json
import re
import struct
import sys

source, target, sets = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open(f"{source}/model.safetensors", "rb") as file:
    (size,) = struct.unpack("<Q", file.read(8))
    header = file.read(size)
    data = bytearray(file.read())
tensors = json.loads(header)
tensors.pop("__metadata__", None)
EXPERT = re.compile(r"(.*?layers\.)(\d+)(\.(?:ffn|mlp)\.experts\..*)")
layers = sorted({int(m[2]) for m in map(EXPERT.match, tensors) if m})
assert sets < len(layers), "nothing would be copied"
for name, tensor in tensors.items():
    match = EXPERT.match(name)
    if not match:
        continue
    owner = layers[layers.index(int(match[2])) % sets]
    origin = tensors[f"{match[1]}{owner}{match[3]}"]
    assert origin["dtype"] == tensor["dtype"] and origin["shape"] == tensor["shape"]
    begin, end = tensor["data_offsets"]
    data[begin:end] = data[slice(*origin["data_offsets"])]
with open(f"{target}/model.safetensors", "wb") as file:
    file.write(struct.pack("<Q", len(header)) + header + data)
