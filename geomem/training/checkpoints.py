"""One file of tensors and JSON (safetensors, no pickle), written whole or not at all, and refused when it was changed."""

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

NAME = "run.safetensors"


def folder_of(folder: str | Path) -> Path:
    """Make the folder if it is missing; raise a ValueError if it cannot be written to."""
    if not os.fspath(folder):
        raise ValueError("folder must have a name, got ''. Write '.' for the one you are in.")
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(f"folder must be one that can be written to, got {str(folder)!r}: {reason}.") from None
    return folder


@contextlib.contextmanager
def _whole(path: Path):
    """Yield a temporary path beside ``path``, then atomically replace ``path`` by what was written there."""
    # A folder of its own, and not a temporary file: that would be readable by its owner alone.
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".part", dir=path.parent) as own:
        part = Path(own, path.name)
        yield part
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write a file whole or not at all: a kill or a full disk leaves what was there before."""
    with _whole(Path(path)) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def write(folder: Path, tensors: dict[str, Tensor], info: dict) -> None:
    """Write ``run.safetensors`` in ``folder``, whole or not at all."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(info, sort_keys=True)
    try:
        with _whole(folder / NAME) as part:
            save_file(tensors, part, metadata={"info": text, "digest": _digest(tensors, text)})
            part.chmod(0o644)  # safetensors leaves it to its owner alone, and others read results too
    except SafetensorError as error:
        raise OSError(f"{folder / NAME} could not be written; what was there before is kept. {error}") from None


def read(folder: str | Path) -> tuple[dict[str, Tensor], dict]:
    """Return the tensors and the JSON of ``run.safetensors`` in ``folder``.

    Raises:
        ValueError: If there is no such file, or it was truncated or edited.
    """
    path = Path(folder) / NAME
    if not path.is_file():
        raise ValueError(f"folder must hold {NAME}, got {str(folder)!r}: there is none.")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (the file is not a dict)
        text = header["info"]
        whole = header["digest"] == _digest(tensors, text)
    except (SafetensorError, KeyError, OSError, ValueError, RuntimeError):
        whole = False
    if not whole:
        raise ValueError(f"{path} is damaged: it was cut off or changed after it was written. Remove it to start again.")
    return tensors, json.loads(text)


def _digest(tensors: dict[str, Tensor], text: str) -> str:
    """Return the SHA-256 of the JSON and of every tensor's name, type, shape and bytes."""
    whole = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        whole.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return whole.hexdigest()
