"""`python -m scripts.image FOLDER`: run the Dockerfile's lines without a container engine.

Every ARG, ENV, WORKDIR, COPY and RUN of each stage runs as it stands there, as whoever runs this,
who need not be root: the ARGs that name folders and the user are set to FOLDER and to them.
What a container engine does beside is not done: the base image is this machine, its Python the
first of 3.13, 3.12, 3.11 that is here. At the end FOLDER/image.json says what would be started.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from scripts.image.context import assemble
from scripts.image.dockerfile import (
    Instruction,
    NotUnderstood,
    Stage,
    expand,
    listed,
    pairs,
    stages,
)

CHECKOUT = Path(__file__).resolve().parent.parent.parent
PYTHONS = ("python3.13", "python3.14", "python3.12", "python3.11", "python3")
# How this machine reaches its package index stays as it is.
KEPT = ("PIP_", "SSL_", "REQUESTS_", "HTTP", "http", "no_proxy", "NO_PROXY", "UV_")


class Build:
    """The stages, run one after the other in one folder."""

    def __init__(self, folder: Path, context: Path) -> None:
        self.folder = folder
        self.context = context
        self.overrides = {
            "PREFIX": str(folder / "opt"),
            "STATE": str(folder / "state"),
            "RUNTIME": str(folder / "run"),
            "USER_ID": str(os.getuid()),
            "GROUP_ID": str(os.getgid()),
        }
        self.says: dict[str, object] = {}

    def run(self, stage: Stage) -> None:
        """Run a stage's lines."""
        self._place = self.folder
        self._arguments: dict[str, str] = {}
        self._environment = {
            "PATH": f"{self.folder / 'python'}:{os.defpath}",
            "HOME": str(self.folder),
            **{name: value for name, value in os.environ.items() if name.startswith(KEPT)},
        }
        for instruction in stage.instructions:
            getattr(self, f"_{instruction.name.lower()}")(instruction)
        self.says |= {
            "folder": str(self._place),
            "environment": {
                name: value
                for name, value in self._environment.items()
                if not name.startswith(KEPT)
            },
        }

    @property
    def _variables(self) -> dict[str, str]:
        return self._arguments | self._environment

    def _arg(self, instruction: Instruction) -> None:
        for name, value in pairs(instruction.text).items():
            self._arguments[name] = self.overrides.get(name, expand(value, self._variables))

    def _env(self, instruction: Instruction) -> None:
        for name, value in pairs(instruction.text).items():
            self._environment[name] = expand(value, self._variables)

    def _workdir(self, instruction: Instruction) -> None:
        self._place = self._place / expand(instruction.text, self._variables)
        self._place.mkdir(parents=True, exist_ok=True)

    def _copy(self, instruction: Instruction) -> None:
        *options, source, target = expand(instruction.text, self._variables).split()
        if options and options != ["--from=build"]:
            raise NotUnderstood(f"line {instruction.line}: COPY {' '.join(options)}")
        origin = Path(source) if options else self.context / source
        destination = self._place / target
        if origin.resolve() == destination.resolve():
            # From the stage before to the same place: the stages share the folder.
            return
        if origin.is_dir():
            shutil.copytree(origin, destination, dirs_exist_ok=True)
        else:
            into = destination if target.endswith("/") or destination.is_dir() else None
            shutil.copyfile(origin, into / origin.name if into else destination)

    def _run(self, instruction: Instruction) -> None:
        started = time.monotonic()
        sys.stdout.write(f"RUN {instruction.text}\n")
        sys.stdout.flush()
        done = subprocess.run(
            ["/bin/sh", "-c", instruction.text],
            cwd=self._place,
            env=self._variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            sys.exit(f"{done.stdout}\nline {instruction.line} failed: {instruction.text}")
        sys.stdout.write(f"    done in {time.monotonic() - started:.1f} s\n")

    def _entrypoint(self, instruction: Instruction) -> None:
        self.says["entrypoint"] = listed(instruction.text)

    def _cmd(self, instruction: Instruction) -> None:
        self.says["cmd"] = listed(instruction.text)

    def _healthcheck(self, instruction: Instruction) -> None:
        self.says["healthcheck"] = listed(instruction.text.partition("CMD ")[2])

    def _stopsignal(self, instruction: Instruction) -> None:
        self.says["stop_signal"] = instruction.text

    def _user(self, instruction: Instruction) -> None:
        self.says["user"] = expand(instruction.text, self._variables)

    def _label(self, instruction: Instruction) -> None:
        pairs(instruction.text)

    def _expose(self, instruction: Instruction) -> None:
        self.says["port"] = int(instruction.text)


def put_python(folder: Path, wanted: str | None) -> str:
    """Put the interpreter that stands for the base image's into the folder; return its version."""
    for name in [wanted] if wanted else PYTHONS:
        found = shutil.which(str(name))
        if found is None:
            continue
        done = subprocess.run(
            [found, "-c", "import ensurepip, sys, venv; print(*sys.version_info[:3], sep='.')"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            # A venv of its own, so that `pip` in a RUN is one, whatever this machine has.
            subprocess.run([found, "-m", "venv", folder / "base"], check=True)
            (folder / "python").symlink_to(folder / "base" / "bin")
            return done.stdout.strip()
    sys.exit(f"None of these is a Python that can make a virtual environment: {', '.join(PYTHONS)}")


def size(folder: Path) -> int:
    """Return what the files of a folder take, in bytes."""
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def main() -> None:
    """Run all stages."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.image", description=(__doc__ or "").split("\n\n")[1]
    )
    parser.add_argument("folder", type=Path, help="where to; must not be there yet")
    parser.add_argument("--python", help="the interpreter that stands for the base image's")
    parser.add_argument("--context", type=Path, help="a context that was assembled before")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.resolve()
    folder.mkdir(parents=True)
    version = put_python(folder, arguments.python)
    context = arguments.context
    if context is None:
        context = folder / "context"
        assemble(CHECKOUT, context)
    build = Build(folder, context.resolve())
    for stage in stages(CHECKOUT / "Dockerfile"):
        sys.stdout.write(f"FROM {stage.base} — here Python {version} of this machine\n")
        build.run(stage)
    megabytes = size(folder / "opt") / 1_000_000
    (folder / "image.json").write_text(json.dumps(build.says, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"Done: {megabytes:.0f} MB above the base image, {folder / 'image.json'}\n")


if __name__ == "__main__":
    main()
