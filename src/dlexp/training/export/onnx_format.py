"""The format `onnx`: a file that ONNX Runtime opens, in any language, without PyTorch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

from dlexp.config.lazy import onnxruntime, torch
from dlexp.errors import JobError, UserError
from dlexp.storage.atomic import write_atomically
from dlexp.training.export.whole import exported, largest_difference, notes, place, whole_net
from dlexp.training.process.state import unchanged
from dlexp.training.run import Run

EXTRA = "dlexp export onnx needs onnx, onnxscript and onnxruntime: pip install 'dlexp[onnx]'."


@unchanged()
def onnx_format(run: Run, to: Path, best: bool) -> Iterator[str]:
    """Export a run's net by PyTorch's exporter, checked by ONNX Runtime; its names are in the metadata properties."""
    file = place(to, ".onnx")
    net, inputs = whole_net(run, best=best)
    program = exported(net, inputs)
    name = "probabilities" if run.source.class_names else "values"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter's own code
            converted = torch.onnx.export(
                program, dynamo=True, input_names=["inputs"], output_names=[name], verbose=False, external_data=False
            )
            assert converted is not None
            converted.model.metadata_props.update(notes(run))
            content = converted.model_proto.SerializeToString()
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {"inputs": inputs.numpy()})
    except ImportError:
        raise UserError(EXTRA) from None
    except Exception as error:  # of two libraries, about any operation they lack
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise JobError(f"The model cannot be written as ONNX: {reason}") from error
    difference = largest_difference(run, inputs, found, best=best)
    write_atomically(file, content)
    return iter([f"{file}: {len(inputs)} samples differ from the run's own outputs by {difference:.1g} at most."])
