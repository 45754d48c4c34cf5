"""Checks that every tensor of the second safetensors file is, bit for bit, the
one of that name in the first, and prints the names in the second."""
import json
import struct
import sys


def tensors(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        payload = file.read()
    metadata = header.pop("__metadata__", None)
    spans = sorted(entry["data_offsets"] for entry in header.values())
    ends = [0] + [end for _, end in spans]
    assert [begin for begin, _ in spans] == ends[:-1], "payload has gaps"
    assert ends[-1] == len(payload), "payload does not end with the last tensor"
    return metadata, {name: (entry["dtype"], entry["shape"], payload[slice(*entry["data_offsets"])])
                      for name, entry in header.items()}


whole_metadata, whole = tensors(sys.argv[1])
part_metadata, part = tensors(sys.argv[2])
assert part_metadata == whole_metadata
for name, value in part.items():
    assert value == whole[name], name
    print(name)
