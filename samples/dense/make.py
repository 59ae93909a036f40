#!/usr/bin/env python3
"""Writes the dense network of this folder: 784-40-40-10, ReLU, He weights from a fixed seed, small biases.

It is not trained: it is what a bound of a network of this size is proved for as a theorem
(proofs-checks/coq/README.md). Only Python's standard library is needed, and every run writes the same bytes.
"""

import json
import os
import random
import struct

WIDTHS = [784, 40, 40, 10]
FOLDER = os.path.dirname(os.path.abspath(__file__))


def floats(values):
    return struct.pack(f"<{len(values)}f", *values)


def main():
    draw = random.Random(20241128)
    tensors = []
    for i, (inputs, outputs) in enumerate(zip(WIDTHS, WIDTHS[1:]), 1):
        size = (2.0 / inputs) ** 0.5
        weights = [draw.gauss(0.0, size) for _ in range(inputs * outputs)]
        bias = [draw.gauss(0.0, 0.1) for _ in range(outputs)]
        tensors.append((f"fc{i}.weight", [outputs, inputs], floats(weights)))
        tensors.append((f"fc{i}.bias", [outputs], floats(bias)))

    header, offset = {}, 0
    for name, shape, data in tensors:
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(FOLDER, "dense-net.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors))


main()
