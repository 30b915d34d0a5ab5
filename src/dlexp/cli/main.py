"""The command line: run a verb, and turn an error into one message and an exit code."""

import errno
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from dlexp.cli.verbs import VERBS, purpose, verb
from dlexp.errors import DlexpError, JobError, UserError, did_you_mean, full_memory
from dlexp.training.process.signals import Interruption


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; return the exit code: 0 done, 1 a job failed, 2 wrong input, 128 + n stopped by signal n."""
    with Interruption() as interruption:
        try:
            code = _run(list(sys.argv[1:] if arguments is None else arguments))
        except BaseException:
            # A KeyboardInterrupt, or the exception that an interrupted import raises instead.
            if interruption.signal is None:
                raise
        if interruption.signal is None:
            return code
        print("dlexp: interrupted.", file=sys.stderr)
        return 128 + interruption.signal


def _run(arguments: list[str]) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may not be valid text
    from dlexp.cli.verbs import VERBS

    try:
        if not arguments or arguments[0] in ("-h", "--help"):
            print(_overview())
            return 0
        if arguments[0] not in VERBS:
            raise UserError(f"There is no verb {arguments[0]}.{did_you_mean(arguments[0], VERBS)}")
        _refuse_deleted_folder()
        code = verb(arguments[0])(arguments[1:])
        if sys.stdout is not None:  # it is None if it was closed: `dlexp train >&-`
            sys.stdout.flush()
        return code
    except DlexpError as error:
        full = not isinstance(error, JobError) and full_memory(error)  # a job's own message says how to go on
        print(f"dlexp: {full or error}", file=sys.stderr)
        return JobError.exit_code if full else error.exit_code
    except (RuntimeError, MemoryError) as error:
        if not (full := full_memory(error)):
            raise
        print(f"dlexp: {full}", file=sys.stderr)
        return JobError.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the flush at exit would fail again
        return 0  # the reader of our output, for example `head`, closed the pipe
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EIO, errno.EFBIG):
            raise
        print(f"dlexp: {error.filename or 'A file'} could not be written or read: {error.strerror}.", file=sys.stderr)
        return JobError.exit_code


def _refuse_deleted_folder() -> None:
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UserError("The working directory was deleted: cd into another one.") from None


def _overview() -> str:
    verbs = "\n".join(f"  {name:9} {purpose(name)}" for name in VERBS)
    return f"""  dlexp train                                  # Iris, two seconds, no download
  dlexp train model=cifar_cnn optimizer=sgd
  dlexp resume RUN

Experiments with neural networks, driven by config files.

{verbs}

`dlexp VERB --help` says more."""
