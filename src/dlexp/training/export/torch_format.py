"""The format `torch`: a .pt2 file, which `torch.export.load` opens in any process that has PyTorch."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from dlexp.config.lazy import torch
from dlexp.storage.atomic import write_atomically
from dlexp.training.export.whole import exported, largest_difference, notes, place, whole_net
from dlexp.training.process.state import unchanged
from dlexp.training.run import Run


@unchanged()
def torch_format(run: Run, to: Path, best: bool) -> Iterator[str]:
    """Export a run's net with torch.export, checked by opening it again; its names are in the file's extra files."""
    file = place(to, ".pt2")
    net, inputs = whole_net(run, best=best)
    content = io.BytesIO()
    torch.export.save(exported(net, inputs), content, extra_files=notes(run))
    opened = torch.export.load(io.BytesIO(content.getvalue())).module()
    difference = largest_difference(run, inputs, opened(inputs).numpy(), best=best)
    write_atomically(file, content.getvalue())
    return iter([f"{file}: {len(inputs)} samples differ from the run's own outputs by {difference:.1g} at most."])
