"""The driver: a child process of `selfish run` that runs one job on Ray and says what happens.

`python -m orchestration.driver` reads a job from the first line of stdin and writes events to stdout, one a line. Stdin
stays open as long as the supervisor lives; when it closes, the driver ends with all its processes. What Ray and the
workers print goes to stderr, which the supervisor points at the log.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback

from orchestration import processes
from orchestration.job import Event, Job, Refused, as_line, first_line
from orchestration.launch import launch
from selfish_core.errors import SelfishError


def main() -> int:
    """Run the job on stdin and return the exit code; what came of it is in the trial store."""
    os.umask(0o077)
    processes.end_with_parent()
    events = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return 1
    processes.end_when_closed(sys.stdin.fileno())
    lock = threading.Lock()

    def report(event: Event) -> None:
        with lock:
            os.write(events, as_line(event))

    try:
        launch(Job.model_validate_json(line), report)
    except SelfishError as error:
        report(Refused(message=str(error), exit_code=error.exit_code))
        return error.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:
        traceback.print_exc()
        sys.stderr.write(f"the driver failed: {first_line(error)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
