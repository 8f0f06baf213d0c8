"""The command line: Hydra composes, this module runs jobs and turns failures into a sentence and exit code.

Exit codes: 0 done, 1 a run failed, 2 the configuration or the data cannot be used, 130 interrupted,
141 the reader of its output left.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from magsim.config import CONF, compose, groups, register, resumed, translate
from magsim.errors import ConfigError, MagsimError
from magsim.runs import Terminated, failed, new_id, outputs_root, read_status, reason, stamp, write_json
from magsim.tasks.dispatch import execute
from magsim.tasks.sweeps import compare_jobs, job_folders

SWEEP_VARIABLE = "MAGSIM_SWEEP_FOLDER"
# Flags of Hydra with a value of their own, in the next word.
VALUED = {"-c", "--cfg", "-p", "--package", "-cp", "--config-path", "-cn", "--config-name", "-cd"}
VALUED |= {"--config-dir", "--experimental-rerun"}

_failures: list[Exception] = []  # of the single job of this process


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Args:
        arguments: instead of those of the process.
    """
    flags, overrides = _sorted(sys.argv[1:] if arguments is None else arguments)
    _prepare()
    before, sys.argv = sys.argv, [sys.argv[0], *flags, *overrides]
    try:
        if {"-h", "--help"} & set(flags):
            print(_help(overrides), flush=True)
            return 0
        _hydra_main()
        if _failures:
            return _report(_failures.pop(), overrides)
        return _sweep_result(overrides)
    except SystemExit as stop:  # flags that do not exist
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except Terminated:
        print("Terminated.", file=sys.stderr)
        return 143
    except BrokenPipeError:
        return _reader_left()
    except Exception as error:
        return _report(error, overrides)
    finally:
        sys.argv = before
        _failures.clear()
        _remove_empty_sweep()
        os.environ.pop(SWEEP_VARIABLE, None)
        GlobalHydra.instance().clear()


def _reader_left() -> int:
    """``| head`` has what it wanted: no complaint, neither now nor when Python flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def _sorted(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Flags and overrides; argparse takes overrides in one run only, people write ``a=1 -m b=2``."""
    flags: list[str] = []
    overrides: list[str] = []
    for word in arguments:
        last = flags[-1] if flags else ""
        if last == "--info" and word.isalpha():  # its value is optional
            flags[-1] = f"--info={word}"
        else:
            (flags if last in VALUED or word.startswith("-") else overrides).append(word)
    return ["--info=all" if flag == "--info" else flag for flag in flags], overrides


@hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")
def _hydra_main(cfg: DictConfig) -> dict[str, Any] | None:
    """One job, of a sweep or alone. The jobs of a sweep keep their failures to themselves."""
    overrides = _overrides()
    if HydraConfig.get().mode != RunMode.MULTIRUN:
        try:
            return _job(cfg, overrides)
        except Exception as error:  # not raised through Hydra, which would print its own words
            _failures.append(error)
            return None
    sweep = Path(str(HydraConfig.get().sweep.dir))
    folder = sweep / f"{HydraConfig.get().job.num}-{new_id()}"
    try:
        return _job(cfg, overrides, folder, sweep.name)
    except Exception as error:
        told = translate(error, overrides) or error
        _mark_failed(folder, cfg, told)
        _print_error(told, cfg.get("debug", False), folder)
        return None


def _overrides() -> list[str]:
    """The arguments of this job as they were written, interpolations unresolved."""
    written = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
    return [str(override) for override in written or []]


def _job(
    cfg: DictConfig, overrides: list[str], folder: Path | None = None, group: str | None = None
) -> dict[str, Any]:
    if cfg.resume is not None:
        cfg, overrides = resumed(cfg.resume, overrides)
        folder = None
    return execute(cfg, overrides, folder, group)


def _prepare() -> None:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises instead of printing and leaving
    # Threads that wait by spinning starve those that work where cores are shared; numbers are at the end of
    # docs/benchmarks.md. Read by OpenMP when torch is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    os.environ.pop(SWEEP_VARIABLE, None)
    register()
    OmegaConf.register_new_resolver("magsim_sweep_folder", _sweep_folder, replace=True)


def _sweep_folder(task: str, name: str, output: str | None) -> str:
    """One folder for all jobs of a sweep, remembered in the environment so that launchers in other processes,
    and jobs with another task or name, agree with the first call."""
    if SWEEP_VARIABLE not in os.environ:
        folder = Path(output).resolve() if output else outputs_root() / task / name / f"sweep-{stamp()}"
        os.environ[SWEEP_VARIABLE] = str(folder)
    return os.environ[SWEEP_VARIABLE]


def _sweep_result(overrides: Sequence[str]) -> int:
    """After a sweep: one page over its runs, what failed, and the exit code, 2 if all that failed was refused
    as wrong input."""
    sweep = os.environ.get(SWEEP_VARIABLE)
    if sweep is None:
        return 0
    compare_jobs(Path(sweep), overrides)
    states = {folder.name: read_status(folder) for folder in job_folders(Path(sweep))}
    lost = {name: state for name, state in states.items() if state["status"] != "done"}
    print(f"\n{len(states) - len(lost)} of {len(states)} jobs done, in {sweep}")
    for name, state in lost.items():
        print(f"  {name} failed: {state.get('reason', state['status'])}", file=sys.stderr)
    if not lost:
        return 0
    return 2 if all(state.get("wrong_input") for state in lost.values()) else 1


def _remove_empty_sweep() -> None:
    """A sweep that was refused as a whole leaves no folder."""
    sweep = Path(os.environ.get(SWEEP_VARIABLE, ""))
    if sweep.name and [file.name for file in sweep.glob("*")] == ["multirun.yaml"]:
        (sweep / "multirun.yaml").unlink()
        sweep.rmdir()


def _mark_failed(folder: Path, cfg: DictConfig, error: BaseException) -> None:
    """A job that was refused before it could open its run still leaves a folder that says so."""
    if (folder / "status.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(cfg), encoding="utf-8")
    (folder / "overrides.yaml").write_text(
        OmegaConf.to_yaml(OmegaConf.create(_overrides())), encoding="utf-8"
    )
    now = stamp()
    run_id = folder.name.partition("-")[2]
    status = {"id": run_id, "task": str(OmegaConf.select(cfg, "task.name"))}
    write_json(folder / "status.json", {**status, "started": now, "finished": now, **failed(error)})


def _report(error: Exception, overrides: Sequence[str]) -> int:
    told = translate(error, overrides) or _unwritable_sweep(error) or error
    _print_error(told, any(override.lower() == "debug=true" for override in overrides))
    return 2 if isinstance(told, MagsimError) else 1


def _unwritable_sweep(error: Exception) -> MagsimError | None:
    """Hydra makes the folder of a sweep itself, and raises what the system says."""
    sweep = os.environ.get(SWEEP_VARIABLE)
    if not isinstance(error, OSError) or sweep is None or Path(sweep).is_dir():
        return None
    return ConfigError("output", sweep, f"cannot be created: {error.strerror or error}.")


def _print_error(error: BaseException, debug: bool, folder: Path | None = None) -> None:
    if debug:
        traceback.print_exception(error)
    expected = isinstance(error, MagsimError)
    notes = [] if folder is None else [folder.name]
    if not expected and not debug:
        notes += getattr(error, "__notes__", [])
    where = f" ({', '.join(notes)})" if notes else ""
    print(f"{'' if expected else 'The run failed: '}{reason(error)}{where}", file=sys.stderr)


def _help(overrides: list[str]) -> str:
    """Text of ``python run.py --help`` (Hydra takes a second to list the groups)."""
    options = groups()
    width = max(map(len, options))
    table = "\n".join(f"  {group:<{width}}  {', '.join(names)}" for group, names in options.items())
    return f"""From electrons to learned spin dynamics.

usage: python run.py [group=option ...] [key=value ...] [-m] [--cfg job]

  python run.py lattice=triangular model=bp           label, train, evaluate, simulate, report
  python run.py task=train data.path=labels.npz       one task at a time
  python run.py resume=outputs/train/default/...      continue a run
  python run.py -m model=linear,bp seed=0,1           one run for each combination

  -m, --multirun   sweep over comma separated values
  --cfg job        print the composed configuration and stop
  --hydra-help     flags of Hydra

Groups and their options:
{table}

The configuration with these arguments (change anything with key=value):

{OmegaConf.to_yaml(compose(overrides))}"""
