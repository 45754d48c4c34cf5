#!/usr/bin/env python3
"""Copies a case of test/data and breaks the copy.

usage: make_bad.py FROM TO [FILE EDIT [ARGUMENT...]] [-- FILE EDIT ...]

Edits of a .safetensors file are of its header; the bytes of the tensors stay,
unless said otherwise.

  drop NAME               leave the tensor out; with *, all such tensors
  rename NAME NEW         another name
  set NAME FIELD JSON     another dtype, shape or data_offsets
  swap NAME OTHER         exchange the data of two tensors
  store NAME DTYPE SHAPE  another dtype and shape, with zeros of that size; of
                          every expert where the name has a *
  scale NAME FACTOR       multiply the elements of an F32 or BF16 tensor
  put NAME INDEX NUMBER   one element of an I64, I32 or F32 tensor
  byte NAME INDEX VALUE   one byte of a tensor's data
  tail BYTES              add bytes behind the data
  cut BYTES               keep only so many bytes of the file
  length BYTES            another header length in front of the header
  header TEXT             another header, as it is
  shard                   model.safetensors becomes a shard of an index that
                          names a second one, which is not there

Edits of a .json file:

  set KEY JSON            KEY may be a path: rope_parameters.main.rope_theta
  drop KEY
  text OLD NEW            replace text

Of any file: remove.
"""
import fnmatch
import json
import os
import shutil
import struct
import sys


def bf16_bits(value):
    """Bits of the nearest BF16 number, ties to even."""
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


class Safetensors:
    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            self.header = json.loads(file.read(length))
            self.data = bytearray(file.read())
        self.keep = None
        self.length = None
        self.text = None

    def save(self):
        text = self.text if self.text is not None else json.dumps(self.header)
        text = text.encode()
        length = len(text) if self.length is None else self.length
        whole = struct.pack("<Q", length) + text + self.data
        with open(self.path, "wb") as file:
            file.write(whole[: self.keep])

    def bytes_of(self, name):
        begin, end = self.header[name]["data_offsets"]
        return slice(begin, end)

    def drop(self, name):
        # Only files without holes are valid: the tensors behind move up.
        for each in fnmatch.filter(list(self.header), name):
            begin, end = self.header.pop(each)["data_offsets"]
            del self.data[begin:end]
            for tensor, entry in self.header.items():
                if tensor != "__metadata__" and entry["data_offsets"][0] >= end:
                    entry["data_offsets"] = [o - (end - begin) for o in entry["data_offsets"]]

    def rename(self, name, new):
        self.header[new] = self.header.pop(name)

    def set(self, name, field, value):
        self.header[name][field] = json.loads(value)

    def swap(self, name, other):
        a, b = self.bytes_of(name), self.bytes_of(other)
        self.data[a], self.data[b] = self.data[b], self.data[a]

    def store(self, name, dtype, shape):
        bits = {"F4": 4, "F8_E4M3": 8, "F8_E8M0": 8, "I8": 8, "BF16": 16, "F16": 16, "F32": 32}
        size = bits[dtype]
        for number in json.loads(shape):
            size *= number
        assert size % 8 == 0
        for each in fnmatch.filter(list(self.header), name):
            self.drop(each)
            begin = len(self.data)
            self.data += bytes(size // 8)
            self.header[each] = {
                "dtype": dtype, "shape": json.loads(shape),
                "data_offsets": [begin, len(self.data)]}

    def scale(self, name, factor):
        place = self.bytes_of(name)
        if self.header[name]["dtype"] == "F32":
            count = (place.stop - place.start) // 4
            values = struct.unpack(f"<{count}f", self.data[place])
            self.data[place] = struct.pack(f"<{count}f", *(v * float(factor) for v in values))
            return
        assert self.header[name]["dtype"] == "BF16"
        count = (place.stop - place.start) // 2
        values = struct.unpack(f"<{count}H", self.data[place])
        values = [struct.unpack("<f", struct.pack("<I", v << 16))[0] for v in values]
        bits = [bf16_bits(v * float(factor)) for v in values]
        self.data[place] = struct.pack(f"<{count}H", *bits)

    def put(self, name, index, number):
        code, size, kind = {"F32": ("<f", 4, float), "I64": ("<q", 8, int), "I32": ("<i", 4, int)}[
            self.header[name]["dtype"]]
        begin = self.bytes_of(name).start + int(index) * size
        self.data[begin : begin + size] = struct.pack(code, kind(number))

    def byte(self, name, index, value):
        self.data[self.bytes_of(name).start + int(index)] = int(value, 0)

    def tail(self, count):
        self.data += bytes(int(count))

    def cut(self, count):
        self.keep = int(count)

    def shard(self):
        names = [name for name in self.header if name != "__metadata__"]
        first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
        files = dict.fromkeys(names, first)
        files[names[-1]] = second
        folder = os.path.dirname(self.path)
        os.rename(self.path, os.path.join(folder, first))
        self.path = os.path.join(folder, first)
        with open(os.path.join(folder, "model.safetensors.index.json"), "w") as file:
            json.dump({"metadata": {}, "weight_map": files}, file)


class Json:
    def __init__(self, path):
        self.path = path
        with open(path) as file:
            self.content = file.read()

    def save(self):
        with open(self.path, "w") as file:
            file.write(self.content)

    def change(self, key, action):
        value = json.loads(self.content)
        *outer, last = key.split(".")
        place = value
        for name in outer:
            place = place[name]
        action(place, last)
        self.content = json.dumps(value, indent=2)

    def set(self, key, value):
        self.change(key, lambda place, name: place.update({name: json.loads(value)}))

    def drop(self, key):
        self.change(key, lambda place, name: place.pop(name))

    def text(self, old, new):
        assert old in self.content
        self.content = self.content.replace(old, new)


def apply(path, edit, *arguments):
    if edit == "remove":
        os.remove(path)
        return
    file = Safetensors(path) if path.endswith(".safetensors") else Json(path)
    if edit == "length":
        file.length = int(arguments[0])
    elif edit == "header":
        file.text = arguments[0]
    else:
        getattr(file, edit)(*arguments)
    file.save()


def main():
    source, target, *rest = sys.argv[1:]
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    for root, _, files in os.walk(target):
        for name in files:
            os.chmod(os.path.join(root, name), 0o644)
    edit = []
    for word in rest + ["--"]:
        if word != "--":
            edit.append(word)
        elif edit:
            apply(os.path.join(target, edit[0]), *edit[1:])
            edit = []


main()
