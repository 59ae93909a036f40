#!/usr/bin/env python3
"""Trains LipVerify's sample network for colour pictures and writes every file of this folder.

The pictures are drawn by this script: ten kinds of figures at random places, sizes,
angles and colours, on uneven backgrounds, partly covered and with noise. No data are
read:

    python3 train.py

The script needs PyTorch, NumPy and Pillow; on Debian:

    apt-get install python3-torch python3-numpy python3-pil

It was last run with Debian 12's PyTorch 1.13 and NumPy 1.24, and takes about three
minutes on one core. Seeds are fixed and PyTorch is held to one thread and to
deterministic algorithms, so a second run on the same machine gives the same files;
another PyTorch or NumPy version or processor may round differently and give other
weights.

Retraining is no part of the project's set-up or tests: those read the files as shipped.

Written beside this script, or into --out:

    cifar10-net.safetensors   the network's parameters, float32
    pictures/0.png .. 9.png   one held-out picture a class
    logits.json               double-precision logits of two of those pictures
    README.md                 what all this is, with the measured accuracy
"""

import argparse
import json
import math
import os
import struct

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image

CLASSES = ("disc", "ring", "square", "triangle", "cross",
           "star", "crescent", "stripes", "checks", "blob")

SEED = 20240229
TRAINED = 1000           # pictures a class to train on
HELD_OUT = 200           # pictures a class never trained on
EPOCHS = 11
BATCH = 50
LEARNING_RATE = 0.02     # peak; falls to zero along a cosine
MOMENTUM = 0.9
WEIGHT_DECAY = 2e-3
WARM_UP = 1              # epochs of linearly growing learning rate
MAX_SHIFT = 2            # augmentation: pixels, besides mirror images

SIDE = 32
FINE = 4                 # figures are drawn on a grid that is finer by this factor
NOISE = 0.05             # largest standard deviation of a pixel's noise, in 0 .. 1
CONTRAST = 0.22          # least distance of the figure's colour from the background's

# Network input = (value / 255 - MEAN) / STD, channel by channel: --preprocess cifar10
MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2470, 0.2435, 0.2616)
GOLDEN = (3, 8)              # the pictures whose logits are recorded


class Net(nn.Module):
    """cifar10-net, as LipVerify knows it by name, without its dropout layers."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3)
        self.conv2 = nn.Conv2d(32, 32, 3)
        self.conv3 = nn.Conv2d(32, 64, 3)
        self.conv4 = nn.Conv2d(64, 64, 3)
        self.fc1 = nn.Linear(1600, 512)
        self.fc2 = nn.Linear(512, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.conv3(x))
        x = F.max_pool2d(F.relu(self.conv4(x)), 2)
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        return self.fc2(x)


# ---------------------------------------------------------------- data

# Centres of the fine grid's cells in pixels, measured from the picture's centre.
AXIS = (np.arange(SIDE * FINE) + 0.5) / FINE - SIDE / 2
ACROSS, DOWN = np.meshgrid(AXIS, AXIS)


def coarse(fine):
    """Means over the cells of each pixel."""
    return fine.reshape(SIDE, FINE, SIDE, FINE).mean((1, 3))


def polygon(x, y, corners):
    """The even-odd interior of a polygon."""
    inside = np.zeros(x.shape, dtype=bool)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1]):
        crosses = (y0 > y) != (y1 > y)
        slope = (x1 - x0) / (y1 - y0) if y1 != y0 else 0.0
        inside ^= crosses & (x < x0 + slope * (y - y0))
    return inside


def corners(radii):
    """Points about the origin at equal angles, the first one above it."""
    angles = 2 * math.pi * np.arange(len(radii)) / len(radii)
    return [(r * math.sin(a), -r * math.cos(a)) for r, a in zip(radii, angles)]


def figure(kind, x, y, rng):
    """How much of each cell a figure of radius about 1 about the origin covers."""
    distance = np.hypot(x, y)
    if kind == "disc":
        return distance < 0.9
    if kind == "ring":
        return (distance < 1.0) & (distance > rng.uniform(0.45, 0.7))
    if kind == "square":
        return np.maximum(abs(x), abs(y)) < 0.8
    if kind == "triangle":
        return polygon(x, y, corners([1.1] * 3))
    if kind == "cross":
        arm = rng.uniform(0.2, 0.36)
        return (np.minimum(abs(x), abs(y)) < arm) & (np.maximum(abs(x), abs(y)) < 1.0)
    if kind == "star":
        return polygon(x, y, corners([1.15, rng.uniform(0.42, 0.58)] * 5))
    if kind == "crescent":
        return (distance < 1.0) & (np.hypot(x - rng.uniform(0.4, 0.6), y) > 0.85)
    if kind == "stripes":
        wave = np.sin(x * rng.uniform(5.5, 8.0) + rng.uniform(0, 2 * math.pi))
        return (np.maximum(abs(x), abs(y)) < 0.95) & (wave > 0)
    if kind == "checks":
        pitch = rng.uniform(4.5, 6.5)
        wave = (np.sin(x * pitch + rng.uniform(0, 2 * math.pi))
                * np.sin(y * pitch + rng.uniform(0, 2 * math.pi)))
        return (np.maximum(abs(x), abs(y)) < 0.95) & (wave > 0)
    if kind == "blob":
        return np.exp(-distance ** 2 * rng.uniform(1.6, 2.6))
    raise ValueError(kind)


def background(colour, rng):
    """Colour with a slope and two waves, (SIDE, SIDE, 3)."""
    x, y = coarse(ACROSS) / SIDE, coarse(DOWN) / SIDE
    picture = np.broadcast_to(colour, (SIDE, SIDE, 3)).copy()
    turn = rng.uniform(0, 2 * math.pi)
    slope = math.cos(turn) * x + math.sin(turn) * y
    picture += slope[:, :, None] * rng.uniform(-0.25, 0.25, 3)
    for _ in range(2):
        turn, phase = rng.uniform(0, 2 * math.pi, 2)
        pitch = 2 * math.pi * rng.uniform(1, 5)
        wave = np.sin(pitch * (math.cos(turn) * x + math.sin(turn) * y) + phase)
        picture += wave[:, :, None] * rng.uniform(-0.06, 0.06, 3)
    return picture


def covering(rng):
    """A bar that lies anywhere."""
    turn = rng.uniform(0, math.pi)
    along = math.cos(turn) * ACROSS + math.sin(turn) * DOWN
    apart = -math.sin(turn) * ACROSS + math.cos(turn) * DOWN
    along = abs(along - rng.uniform(-12, 12))
    apart = abs(apart - rng.uniform(-12, 12))
    return (along < rng.uniform(2, 9)) & (apart < rng.uniform(0.5, 2.0))


def draw(kind, rng):
    """One picture of this kind, (SIDE, SIDE, 3), bytes."""
    ground = rng.uniform(0.1, 0.9, 3)
    colour = rng.uniform(0, 1, 3)
    while np.abs(colour - ground).mean() < CONTRAST:
        colour = rng.uniform(0, 1, 3)
    picture = background(ground, rng)

    size = rng.uniform(6.0, 11.5)
    room = 15.0 - size
    left, top = rng.uniform(-room, room, 2)
    turn = rng.uniform(0, 2 * math.pi)
    stretch = math.sqrt(rng.uniform(0.8, 1.25))
    x = (math.cos(turn) * (ACROSS - left) + math.sin(turn) * (DOWN - top)) / (size * stretch)
    y = (math.cos(turn) * (DOWN - top) - math.sin(turn) * (ACROSS - left)) / (size / stretch)
    cover = coarse(figure(kind, x, y, rng).astype(np.float64))[:, :, None]
    picture += cover * (colour - picture)

    for _ in range(rng.randint(0, 4)):
        cover = coarse(covering(rng).astype(np.float64))[:, :, None]
        picture += cover * (rng.uniform(0, 1, 3) - picture)

    picture += rng.normal(0, rng.uniform(0, NOISE), picture.shape)
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def draw_all(count, seed):
    """Pictures (n, SIDE, SIDE, 3) as bytes and labels (n), count of each class in turn."""
    rng = np.random.RandomState(seed)
    labels = np.arange(count * len(CLASSES)) % len(CLASSES)
    return np.stack([draw(CLASSES[label], rng) for label in labels]), labels


def normalised(pictures, dtype=torch.float32):
    """Bytes (n, SIDE, SIDE, 3) to network inputs (n, 3, SIDE, SIDE)."""
    x = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))).to(dtype) / 255
    mean = torch.tensor(MEAN, dtype=dtype).reshape(3, 1, 1)
    std = torch.tensor(STD, dtype=dtype).reshape(3, 1, 1)
    return (x - mean) / std


def augment(x, generator):
    """Mirrors about half of the batch's pictures and shifts each one a little."""
    mirrored = torch.rand(len(x), generator=generator) < 0.5
    x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    padded = F.pad(x, [MAX_SHIFT] * 4, mode="replicate")
    shift = torch.randint(0, 2 * MAX_SHIFT + 1, (len(x), 2), generator=generator).tolist()
    return torch.stack([picture[:, top:top + SIDE, left:left + SIDE]
                        for picture, (top, left) in zip(padded, shift)])


# ---------------------------------------------------------------- training

def train(x, y):
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    net = Net()
    for name, value in net.named_parameters():
        if name.endswith("weight"):
            nn.init.kaiming_normal_(value, nonlinearity="relu")
        else:
            nn.init.zeros_(value)
    optimizer = torch.optim.SGD(net.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM,
                                nesterov=True, weight_decay=WEIGHT_DECAY)

    def rate(epoch):
        if epoch < WARM_UP:
            return (epoch + 1) / (WARM_UP + 1)
        return 0.5 * (1 + math.cos(math.pi * (epoch - WARM_UP) / (EPOCHS - WARM_UP)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    for epoch in range(EPOCHS):
        net.train()
        total = 0.0
        order = torch.randperm(len(x), generator=generator)
        for batch in order.split(BATCH):
            loss = F.cross_entropy(net(augment(x[batch], generator)), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        schedule.step()
        print(f"epoch {epoch + 1:3}  loss {total / len(x):.4f}", flush=True)
    return net.eval()


def predict(net, x):
    with torch.no_grad():
        return torch.cat([net(part).argmax(1) for part in x.split(500)]).numpy()


def double_logits(net, picture):
    """The network's float32 parameters and its arithmetic, all in double precision."""
    double = Net().double().eval()
    double.load_state_dict({name: value.double() for name, value in net.state_dict().items()})
    with torch.no_grad():
        return double(normalised(picture[None], torch.float64))[0].numpy()


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


def write_logits(path, logits):
    """Doubles with 17 significant digits, which identify each of them."""
    rows = [f'  "pictures/{label}.png": [\n'
            + ",\n".join(f"    {value:.16e}" for value in values) + "\n  ]"
            for label, values in logits.items()]
    with open(path, "w", newline="\n") as file:
        file.write("{\n" + ",\n".join(rows) + "\n}\n")


README = """\
# Sample network for colour pictures

A convolutional ReLU network of the architecture `cifar10-net` that tells ten kinds of
drawn figures apart, with ten pictures to try it on. It has the size and the input of a
CIFAR-10 network, but neither its data nor its classes: the pictures are drawn by
`train.py`.

| file | what |
| --- | --- |
| `cifar10-net.safetensors` | the network's {parameters} parameters, float32, under the names of the table below with `.weight` and `.bias` |
| `pictures/0.png` ... `pictures/9.png` | one held-out picture of each class 0 ... 9 (the file's name is the class), 32x32, 8-bit RGB |
| `logits.json` | logits of `pictures/{golden[0]}.png` and `pictures/{golden[1]}.png`, computed in double precision from the float32 parameters |
| `train.py` | the script that wrote all of this |

From the repository's root:

    ./lipverify info    samples/pictures/cifar10-net.safetensors --architecture cifar10-net
    ./lipverify certify samples/pictures/cifar10-net.safetensors --architecture cifar10-net --input samples/pictures/pictures/3.png --preprocess cifar10

## Architecture

| layer | output | parameters |
| --- | --- | --- |
| input | 3x32x32 | |
| `conv1` 3x3, ReLU | 32x30x30 | 32x3x3x3, 32 |
| `conv2` 3x3, ReLU | 32x28x28 | 32x32x3x3, 32 |
| max pooling 2x2, stride 2 | 32x14x14 | |
| `conv3` 3x3, ReLU | 64x12x12 | 64x32x3x3, 64 |
| `conv4` 3x3, ReLU | 64x10x10 | 64x64x3x3, 64 |
| max pooling 2x2, stride 2 | 64x5x5 | |
| flatten | 1600 | |
| `fc1`, ReLU | 512 | 512x1600, 512 |
| `fc2` | 10 | 10x512, 10 |

The convolutions do not pad. `cifar10-net` has dropout layers, which do nothing when the
network is evaluated; this network was trained without them. The input is
`(value / 255 - mean) / std` with

| channel | mean | std |
| --- | --- | --- |
| red | {mean[0]:.4f} | {std[0]:.4f} |
| green | {mean[1]:.4f} | {std[1]:.4f} |
| blue | {mean[2]:.4f} | {std[2]:.4f} |

which is what `--preprocess cifar10` does; the network's file does not contain this step.

## Pictures

Each picture shows one figure at a random place, size, angle, stretch and colour on a
background of a random colour with a slope and two waves. Up to three bars lie over it
anywhere, and every value has normal noise. The colours drawn for figure and background
differ by at least {contrast:g} of the range in the mean of the three channels.

## Accuracy

**{accuracy:.2f} %** on held-out pictures: {right} of {tested} right. They were drawn with
a seed of their own. The {trained} pictures that the network was trained on were mirrored
and shifted at random; training was SGD with momentum, cross-entropy and weight decay
{decay:g}, and nothing was done for robustness. Each file in `pictures/` is the first
held-out picture of its class, in the order drawn, that the network reads correctly.

| class | figure | right / held out |
| --- | --- | --- |
{classes}

## Retraining

    python3 train.py

`train.py` says what it needs. It overwrites the files listed above, this one included;
`--out FOLDER` writes elsewhere. Seeds are fixed: on the same machine and PyTorch version a
second run gives the same files. Tests that compare with `logits.json` read it
together with the network it was written with, so keep the files as one set.
"""


def write_readme(path, net, labels, predicted, trained):
    right = predicted == labels
    classes = "\n".join(
        f"| {label} | {name} | {right[labels == label].sum()} / {(labels == label).sum()} |"
        for label, name in enumerate(CLASSES))
    with open(path, "w", newline="\n") as file:
        file.write(README.format(
            parameters=sum(value.numel() for value in net.parameters()), mean=MEAN, std=STD,
            accuracy=100 * right.mean(), right=right.sum(), tested=len(labels),
            trained=trained, decay=WEIGHT_DECAY, contrast=CONTRAST, golden=GOLDEN,
            classes=classes))


def main():
    parser = argparse.ArgumentParser(description="Trains the sample network for colour pictures.")
    parser.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)),
                        help="folder to write to (default: this script's)")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    pictures, labels = draw_all(TRAINED, SEED)
    net = train(normalised(pictures), torch.from_numpy(labels))
    held_out, test_labels = draw_all(HELD_OUT, SEED + 1)
    predicted = predict(net, normalised(held_out))
    right = predicted == test_labels
    print(f"held out: {right.sum()} of {len(right)} right, {100 * right.mean():.2f} %")

    os.makedirs(os.path.join(arguments.out, "pictures"), exist_ok=True)

    def out(*parts):
        return os.path.join(arguments.out, *parts)

    write_safetensors(out("cifar10-net.safetensors"), net.state_dict())
    logits = {}
    for label in range(len(CLASSES)):
        chosen = np.flatnonzero(right & (test_labels == label))[0]
        Image.fromarray(held_out[chosen], "RGB").save(out("pictures", f"{label}.png"))
        if label in GOLDEN:
            logits[label] = double_logits(net, held_out[chosen])
    write_logits(out("logits.json"), logits)
    write_readme(out("README.md"), net, test_labels, predicted, len(labels))


if __name__ == "__main__":
    main()
