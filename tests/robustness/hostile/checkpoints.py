"""Checkpoints that would run code when they are unpickled, or claim more than they hold; their SHA-256 is right."""

import hashlib
import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from robustness.hostile import PWNED, RUN, Attack

from dlexp.training import checkpoint

TOUCH = f"touch {PWNED}"


class Call:
    """Is pickled as a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any):
        self._call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self._call


def sealed(archive: bytes) -> bytes:
    """Return an archive with the trailer that a checkpoint has."""
    return archive[:-2] + struct.pack("<H", 64) + hashlib.sha256(archive).hexdigest().encode()


def saved(state: Any, **how: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer, **how)
    return buffer.getvalue()


def zipped(members: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def members(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def scripted() -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), buffer)
    return buffer.getvalue()


def bomb(state: dict[str, Any]) -> bytes:
    """A pickle of 2 GiB of zeros after its end, deflated to 2 MiB."""
    whole = members(saved(state))
    pickled = next(name for name in whole if name.endswith("data.pkl"))
    return zipped({**whole, pickled: whole[pickled] + bytes(2**31)}, zipfile.ZIP_DEFLATED)


def claiming(state: dict[str, Any]) -> bytes:
    """A member said to be of 2 GiB that are not there."""
    content = bytearray(saved(state))
    at = content.index(b"PK\1\2")
    content[at + 20 : at + 28] = struct.pack("<II", 2**31 - 1, 2**31 - 1)
    return bytes(content)


def attacks() -> list[Attack]:
    """Return one attack for each content, on every checkpoint of the run."""
    call = Call(os.system, TOUCH)
    raw = {  # opcodes that call without __reduce__
        "GLOBAL and REDUCE": f"cposix\nsystem\n(S'{TOUCH}'\ntR.".encode(),
        "INST": f"(S'{TOUCH}'\niposix\nsystem\n.".encode(),
        "OBJ": f"(cposix\nsystem\nS'{TOUCH}'\no.".encode(),
        "STACK_GLOBAL": pickle.dumps(call, 4),
        "an extension's code": b"\x82\x01.",
    }
    big = torch.zeros(1).expand(2**40)
    contents: dict[str, Callable[[dict[str, Any]], bytes]] = {
        **{f"a call in {key}": lambda s, k=key: saved({**s, k: call}) for key in ("model", "optimizer", "random")},
        "a call in progress": lambda s: saved({**s, "progress": {**s["progress"], "step": call}}),
        "a call as a key": lambda s: saved({**s, call: 1}),
        "builtins.eval": lambda s: saved({**s, "model": Call(eval, f"__import__('os').system('{TOUCH}')")}),
        "builtins.exec": lambda s: saved({**s, "model": Call(exec, f"import os; os.system('{TOUCH}')")}),
        "builtins.open": lambda s: saved({**s, "model": Call(open, PWNED, "w")}),
        "os.remove": lambda s: saved({**s, "model": Call(os.remove, "../outside/precious")}),
        "getattr": lambda s: saved({**s, "model": Call(getattr, Path, "home")}),
        "a pickle in a pickle": lambda s: saved({**s, "model": Call(pickle.loads, pickle.dumps(call))}),
        "torch.hub": lambda s: saved({**s, "model": Call(torch.hub.load, "..", "x", "local")}),
        "torch's own way to load": lambda s: saved({**s, "x": Call(torch.storage._load_from_bytes, saved(call))}),
        "an attribute of a dictionary": lambda s: saved({**s, "model": with_attribute(call)}),
        **{f"opcode {name}": lambda s, c=code: zipped({"archive/data.pkl": c, "archive/version": b"3"})
           for name, code in raw.items()},
        "the format before ZIP": lambda s: saved({**s, "model": call}, _use_new_zipfile_serialization=False) + b"\0\0",
        "a bare pickle": lambda s: pickle.dumps({**s, "model": call}) + b"\0\0",
        "paths that escape": lambda s: zipped(
            {**members(saved(s)), "../../outside/pwned": b"x", "/outside/pwned": b"x", "archive/../../pwned": b""}),
        "a TorchScript archive": lambda s: scripted(),
        "a pickle of 2 GiB, deflated": bomb,
        "a member said to be larger than the file": claiming,
        "a shape of 2⁴⁰ numbers": lambda s: saved({**s, "model": dict.fromkeys(s["model"], big)}),
        "weights of other shapes": lambda s: saved({**s, "model": {k: torch.zeros(3, 3) for k in s["model"]}}),
        "weights that are text": lambda s: saved({**s, "model": dict.fromkeys(s["model"], "x")}),
        "weights named as attributes": lambda s: saved(
            {**s, "model": {**s["model"], "__class__": torch.zeros(1), "0.forward": torch.zeros(1)}}),
        "no dictionary": lambda s: saved([1, 2]),
        "a deep list": lambda s: zipped({"archive/data.pkl": b"\x80\2" + b"(" * 10**6 + b"l" * 10**6 + b".",
                                         "archive/version": b"3"}),
    }  # fmt: skip
    only_resume: dict[str, Callable[[dict[str, Any]], bytes]] = {
        "a learning rate that is text": lambda s: saved({**s, "optimizer": with_group(s, lr="x")}),
        "moments of another shape": lambda s: saved({**s, "optimizer": {**s["optimizer"], "state": {
            i: {**of, "exp_avg": torch.zeros(7)} for i, of in s["optimizer"]["state"].items()}}}),
        "a random state that is none": lambda s: saved({**s, "random": {**s["random"], "torch": torch.zeros(3)}}),
        "a step that is text": lambda s: saved({**s, "progress": {**s["progress"], "step": "../../outside/pwned"}}),
        "an epoch of 10¹⁰⁰": lambda s: saved({**s, "progress": {**s["progress"], "epoch": 10**100}}),
        "lengths of a file elsewhere": lambda s: saved({**s, "lengths": {"../../../../outside/precious": 1},
                                                        "digests": {"../../../../outside/precious": "x"}}),
        "best weights that are text": lambda s: saved({**s, "best_weights": {"x": "y"}}),
    }  # fmt: skip
    verbs = (["resume", RUN], ["evaluate", RUN], ["evaluate", RUN, "--best"])
    return [
        *(Attack(f"checkpoint: {what}", verbs, put(make)) for what, make in contents.items()),
        *(Attack(f"checkpoint: {what}", verbs[:1], put(make)) for what, make in only_resume.items()),
        Attack(
            "checkpoint: an optimizer's unknown option",
            verbs[:1],
            codes=(0,),
            lay_out=put(lambda s: saved({**s, "optimizer": with_group(s, __class__="x")})),
        ),
    ]


def with_attribute(call: Call) -> OrderedDict[str, Any]:
    found: OrderedDict[str, Any] = OrderedDict()
    found.__dict__["_metadata"] = call
    return found


def with_group(state: dict[str, Any], **options: Any) -> dict[str, Any]:
    (group,) = state["optimizer"]["param_groups"]
    return {**state["optimizer"], "param_groups": [{**group, **options}]}


def put(make: Callable[[dict[str, Any]], bytes]) -> Callable[[Path], object]:
    """Return what replaces the run's checkpoints."""

    def lay_out(work: Path) -> None:
        folder = work / RUN / "checkpoints"
        content = sealed(make(checkpoint.load(folder / "best.pt") | checkpoint.load(max(folder.glob("step_*.pt")))))
        for path in folder.iterdir():
            path.write_bytes(content)

    return lay_out
