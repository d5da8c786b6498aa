"""Trains a network on the features of `features.py`.

    python -m zh_tiny.train FEATURES_DIR OUT.pt --minutes 40                 phones, for Vosk
    python -m zh_tiny.train FEATURES_DIR OUT.pt --minutes 10 --characters    characters, CTC, for sherpa-onnx

The voice tells when each phone is spoken, so phones are learnt frame by frame. Characters begin the same way (one
frame at the middle of each) and are finished with the CTC loss. A running training saves itself every minute; with
`--resume` it goes on from there, with the time that was left.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from .network import Network, Shape, character_shape, load, phone_shape, save
from .phones import PHONES

CHUNK = 100
"""Labels in a training example."""
BATCH = 12
PEAK_RATE = 2e-3
SAVE_EVERY_S = 60.0
BLANK = "<blk>"
CTC_SHARE = 0.4
"""Part of a character training's time that uses the CTC loss."""


@dataclass(frozen=True)
class Data:
    """Features [frames, inputs] and a label for every step-th frame."""

    features: torch.Tensor
    labels: torch.Tensor


def read(path: Path, characters: tuple[str, ...] | None) -> Data:
    with np.load(path) as arrays:
        features = torch.from_numpy(arrays["features"])
        if characters is None:
            return Data(features, torch.from_numpy(arrays["phones"]).long())
        index = {"": 0, **{character: number for number, character in enumerate(characters)}}
        unique, inverse = np.unique(arrays["characters"], return_inverse=True)
        known = np.array([index.get(str(character), 0) for character in unique])
        return Data(features, torch.from_numpy(known[inverse]).long())


def character_set(paths: list[Path]) -> tuple[str, ...]:
    """Blank, then every character that is spoken in the training data."""
    seen: set[str] = set()
    for path in paths:
        with np.load(path) as arrays:
            seen.update(str(character) for character in np.unique(arrays["characters"]))
    return (BLANK, *sorted(seen - {""}))


def batches(data: Data, shape: Shape, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Where the examples of one pass over the data begin (in labels), shuffled, in batches."""
    margin = shape.context // shape.step + 1
    starts = np.arange(margin, len(data.labels) - CHUNK - margin, CHUNK)
    starts = np.clip(
        starts + rng.integers(-CHUNK // 2, CHUNK // 2, len(starts)), margin, len(data.labels) - CHUNK - margin
    )
    rng.shuffle(starts)
    return [starts[at : at + BATCH] for at in range(0, len(starts) - BATCH + 1, BATCH)]


def example(data: Data, shape: Shape, starts: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
    """Features [batch, frames, inputs] with their context, and labels [batch, CHUNK]."""
    step, context = shape.step, shape.context
    frames = [data.features[step * at - context : step * (at + CHUNK - 1) + context + 1] for at in starts]
    return torch.stack(frames).float(), torch.stack([data.labels[at : at + CHUNK] for at in starts])


def ctc_loss(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    targets = [row[row > 0] for row in labels]
    lengths = torch.tensor([len(target) for target in targets])
    frames = torch.full((len(targets),), scores.shape[2])
    log_probabilities = scores.log_softmax(1).permute(2, 0, 1)
    return functional.ctc_loss(log_probabilities, torch.cat(targets), frames, lengths, zero_infinity=True)


@torch.no_grad()
def look(network: Network, data: Data) -> tuple[float, float]:
    """Cross entropy and frame accuracy on the development utterances."""
    shape = network.shape
    first = -(-shape.context // shape.step)
    network.eval()
    scores = network(data.features[None, first * shape.step - shape.context :].float())[0]
    network.train()
    labels = data.labels[first : first + scores.shape[1]]
    entropy = functional.cross_entropy(scores.T, labels).item()
    spoken = labels > 0
    return entropy, (scores.argmax(0)[spoken] == labels[spoken]).float().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--characters", action="store_true")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--rate", type=float, default=PEAK_RATE, help="the highest learning rate")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    kind = "fbank" if arguments.characters else "mfcc"
    paths = sorted(arguments.features.glob(f"{kind}.[0-9]*.npz"))
    names = character_set(paths) if arguments.characters else PHONES
    copies = [read(path, names if arguments.characters else None) for path in paths]
    development = read(arguments.features / f"{kind}.development.npz", names if arguments.characters else None)
    counts = torch.stack([torch.bincount(copy.labels, minlength=len(names)) for copy in copies]).sum(0).numpy() + 10.0

    floor = copies[0].features[::37].float().quantile(0.05, dim=0).numpy()  # what a quiet line sounds like
    used_s, step = 0.0, 0
    if arguments.resume and arguments.out.exists():
        network, state = load(str(arguments.out))
        used_s, step = float(str(state["used_s"])), int(str(state["step"]))
    else:
        network = Network(character_shape(len(names)) if arguments.characters else phone_shape(len(names)))
        sample = copies[0].features[::7].float()
        network.mean.copy_(sample.mean(0))
        network.deviation.copy_(sample.std(0) + 1e-3)
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=arguments.rate, weight_decay=1e-3)
    total_s = arguments.minutes * 60
    rng = np.random.default_rng(step)
    began, saved, losses = time.monotonic() - used_s, time.monotonic(), []

    def store() -> None:
        used = time.monotonic() - began
        partial = f"{arguments.out}.partial"
        save(network, partial, names=names, priors=counts / counts.sum(), floor=floor, step=step, used_s=used)
        Path(partial).rename(arguments.out)

    number = 0
    while time.monotonic() - began < total_s:
        for path in sorted(set(arguments.features.glob(f"{kind}.[0-9]*.npz")) - set(paths)):  # made meanwhile
            paths.append(path)
            copies.append(read(path, names if arguments.characters else None))
        data = copies[number % len(copies)]
        number += 1
        for starts in batches(data, network.shape, rng):
            done = (time.monotonic() - began) / total_s
            if done >= 1:
                break
            rate = arguments.rate * min(1.0, (step + 1) / 100) * (0.02 + 0.49 * (1 + np.cos(np.pi * done)))
            for group in optimizer.param_groups:
                group["lr"] = rate
            features, labels = example(data, network.shape, starts)
            scores = network(features)
            if arguments.characters and done > 1 - CTC_SHARE:
                loss = ctc_loss(scores, labels)
            else:
                loss = functional.cross_entropy(scores, labels)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            step += 1
            losses.append(loss.item())
            if time.monotonic() - saved > SAVE_EVERY_S:
                entropy, accuracy = look(network, development)
                print(
                    f"{done:4.0%} pass {number} step {step} loss {np.mean(losses):.3f}"
                    f" development {entropy:.3f}, {accuracy:.1%} right",
                    flush=True,
                )
                losses.clear()
                store()
                saved = time.monotonic()
    store()
    print("done: development {:.3f}, {:.1%} right".format(*look(network, development)))


if __name__ == "__main__":
    main()
