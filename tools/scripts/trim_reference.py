#!/usr/bin/env python3
"""Copy a safetensors file without some of its tensors.

    trim_reference.py IN OUT PATTERN...

Tensors whose name matches one of the shell patterns ("hidden.[01]",
"attn.*.q_tail") are left out; the others keep their bytes, types and order, and
the file's metadata is kept. A pattern that matches nothing is an error, since
it is usually a misspelling. Needs Python's standard library only.
"""
import argparse
import fnmatch
import json
import pathlib
import struct
import sys


def parse(data: bytes, path: pathlib.Path) -> tuple[dict, dict, memoryview]:
    """Splits a file into tensors by name in storage order, metadata, payload."""
    if len(data) < 8:
        raise ValueError(f"{path}: {len(data)} bytes cannot hold a header length")
    (length,) = struct.unpack_from("<Q", data)
    if length > len(data) - 8:
        raise ValueError(f"{path}: header of {length} bytes in a file of {len(data)}")
    header = json.loads(data[8 : 8 + length])
    payload = memoryview(data)[8 + length :]
    metadata = header.pop("__metadata__", None)
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if not 0 <= begin <= end <= len(payload):
            raise ValueError(f"{path}: tensor {name} lies outside the file")
    tensors = dict(sorted(header.items(), key=lambda item: item[1]["data_offsets"]))
    return tensors, metadata, payload


def dropped_names(tensors: dict, patterns: list[str], path: pathlib.Path) -> set[str]:
    dropped = set()
    for pattern in patterns:
        matches = fnmatch.filter(tensors, pattern)
        if not matches:
            raise ValueError(f"{path}: no tensor matches '{pattern}'; it has {', '.join(tensors)}")
        dropped.update(matches)
    return dropped


def serialise(tensors: dict, metadata: dict | None, payload: memoryview) -> bytes:
    """The file that holds `tensors`, with new offsets and an 8-byte header size multiple."""
    header, chunks, offset = {}, [], 0
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, entry in tensors.items():
        begin, end = entry["data_offsets"]
        chunks.append(payload[begin:end])
        header[name] = {**entry, "data_offsets": [offset, offset + end - begin]}
        offset += end - begin
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([struct.pack("<Q", len(text)), text, *chunks])


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Copy a safetensors file without some of its tensors.")
    parser.add_argument("input", type=pathlib.Path, metavar="IN")
    parser.add_argument("output", type=pathlib.Path, metavar="OUT")
    parser.add_argument("patterns", nargs="+", metavar="PATTERN",
                        help="name or shell pattern of tensors to leave out")
    args = parser.parse_args()
    try:
        data = args.input.read_bytes()
        tensors, metadata, payload = parse(data, args.input)
        dropped = dropped_names(tensors, args.patterns, args.input)
        kept = {name: entry for name, entry in tensors.items() if name not in dropped}
        result = serialise(kept, metadata, payload)
        args.output.write_bytes(result)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{args.output}: kept {len(kept)} of {len(tensors)} tensors, "
          f"{len(result)} of {len(data)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
