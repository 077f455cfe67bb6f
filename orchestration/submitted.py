"""What the job of a submitted sweep runs on the cluster's head: `selfish run` on the spec that came with the job.

`python -P -m orchestration.submitted FLAGS`: the spec is in the job's metadata, which Ray gives to a job in an
environment variable; the flags are those of `selfish run`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from orchestration import cli
from orchestration.jobs import CODE, SPEC, SWEEP, unpacked
from selfish_core.errors import InputError
from selfish_core.provenance import code_version
from selfish_core.storage import check_name

JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"


def main() -> NoReturn:
    """Run the sweep of this job and end the process with the exit code of `selfish run`."""
    os.umask(0o077)
    with tempfile.TemporaryDirectory(prefix="selfish-job-") as folder:
        try:
            spec = write_spec(os.environ.get(JOB_CONFIG, ""), Path(folder))
        except InputError as error:
            sys.exit(cli.explain(error))
        sys.argv[1:] = ["run", str(spec), "--ray-address", "auto", *sys.argv[1:]]
        cli.main()


def write_spec(job_config: str, folder: Path) -> Path:
    """Write down the spec that a job carries and return its file.

    Args:
        job_config: what Ray gives to a job, JSON.
        folder: where the file goes.

    Raises:
        InputError: when the job carries none, or its submitter has other scientific code than this machine.
    """
    try:
        metadata = json.loads(job_config)["metadata"]
        text, name, code = unpacked(metadata[SPEC]), check_name("sweep", metadata[SWEEP]), metadata[CODE]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"this is no job of `selfish submit`: {type(error).__name__}: {error}") from None
    if code != code_version():
        raise InputError(
            f"the cluster has version {code_version()} of the code, {name} was submitted with {code}: "
            "install the same version of Selfish on both, and submit again"
        )
    path = folder / f"{name}.yaml"
    path.write_bytes(text)
    return path


if __name__ == "__main__":
    main()
