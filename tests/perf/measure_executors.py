"""What an executor costs a job: thousands of jobs that sleep instead of training, for as long as one has patience.

    python tests/perf/measure_executors.py local --jobs 5000 --minutes 6

Prints seconds until the first job and a job after that, and the most memory of the command. With slurm, a cluster is
started on this machine (as root). ``status`` and ``report`` on as many stored results: ``measure_executors.py stored``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

WARM = 10
"""Jobs before the clock starts: by then all workers have imported what they need."""
PLUGIN = """
import time
from torch.nn.functional import interpolate
from methods import Method, register

@register
class Sleeper(Method):
    name, title, citation = "sleeper", "Sleeper", "none"

    def train(self, session):
        time.sleep(SECONDS)

    def upscale(self, lr):
        return interpolate(lr, scale_factor=8)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("executor", choices=["local", "slurm", "ray", "stored"])
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--seconds", type=float, default=0.1, help="that a job sleeps")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.executor == "stored":
            measure_stored(Path(folder))
        else:
            measure(Path(folder), arguments)


def measure(folder: Path, arguments: argparse.Namespace) -> None:
    """Run the jobs, and say what they took."""
    from slurm_cluster import cluster

    (folder / "sleeper.py").write_text(PLUGIN.replace("SECONDS", str(arguments.seconds)))
    results = folder / "results" / "r"
    command = [
        sys.executable, "-m", "benchmark", "run", "--methods", "sleeper", "--plugin", str(folder / "sleeper.py"),
        "--seeds", str(arguments.jobs), "--iterations", "1", "--ocr", "none", "--device", "cpu", "--results",
        str(folder / "results"), "--run", "r", "--executor", arguments.executor, "--set", "data.train_plates=4",
        "--set", "data.val_plates=2", "--set", "data.test_plates=2", "--set", "scoring.samples=1",
        "--set", "slurm.gpus=0", "--set", "slurm.cpus=1", "--set", "slurm.memory_gb=1", "--set", "train.threads=1",
    ]  # fmt: skip
    command += {"local": ["--workers", "2"], "slurm": ["--wait", "--set", "slurm.parallel=2"], "ray": []}[
        arguments.executor
    ]
    slurm = cluster(folder / "slurm") if arguments.executor == "slurm" else nullcontext(dict(os.environ))
    with slurm as environment, open(folder / "output", "w+") as output:
        environment = {**environment, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        begun = time.monotonic()
        driver = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        first, submitted, done, memory, processor = None, None, 0, 0, 0.0
        while driver.poll() is None and (seconds := time.monotonic() - begun) < 60 * arguments.minutes:
            with suppress(OSError, StopIteration):
                lines = Path(f"/proc/{driver.pid}/status").read_text().splitlines()
                memory = max(memory, int(next(line for line in lines if line.startswith("VmHWM")).split()[1]))
            if submitted is None and (results / "slurm" / "jobs.json").exists():
                submitted = seconds
            done = sum(1 for _ in results.glob("sleeper/seed*/result.json"))
            processor = max(processor, processor_seconds(os.getpid()))
            if done and first is None:
                first = seconds
            if done < WARM:
                before, start, since = done, processor, seconds
            time.sleep(1.0)
        ended, code = time.monotonic() - begun, driver.poll()
        driver.terminate()  # not Ctrl-C, which a command in the background of a script ignores
        driver.wait(120)
        if arguments.executor == "slurm":
            subprocess.run(["scancel", "-u", "root"], env=environment, check=False)
            time.sleep(15)
        output.seek(0)
        print("\n".join(output.read().splitlines()[-3:]))
    jobs = done - before if done > WARM else float("nan")
    print(f"{arguments.executor}: {done} of {arguments.jobs} jobs in {ended:.0f} s (exit code {code});"
          f" load of the machine {os.getloadavg()[0]:.0f}")  # fmt: skip
    print(f"  first job after {first or 0:.0f} s{f', submitted after {submitted:.0f} s' if submitted else ''}; then"
          f" {(ended - since) / jobs:.3f} s a job ({arguments.seconds} asleep) by the clock, and"
          f" {(processor - start) / jobs:.3f} s of processor time; command: {memory / 1024:.0f} MB")  # fmt: skip


def processor_seconds(root: int) -> float:
    """Processor time of a process, of all that it has started, and of those that have ended."""
    times, parents = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            parents[int(stat.parent.name)], times[int(stat.parent.name)] = int(fields[1]), sum(map(int, fields[11:15]))

    def below(pid: int) -> bool:
        while pid > 1 and pid != root:
            pid = parents.get(pid, 0)
        return pid == root

    return sum(time for pid, time in times.items() if below(pid)) / os.sysconf("SC_CLK_TCK")


def measure_stored(folder: Path) -> None:
    """How long ``status`` and ``report`` take on 20 methods × 10 seeds × 25 configurations."""
    import fake_results

    run = fake_results.make_run(folder / "results" / "r", fake_results.METHODS[:2]).folder
    info = json.loads((run / "bicubic" / "seed0" / "result.json").read_text())
    for number in range(5000):
        name, seed = f"method{number % 20:02}-configuration{number // 20 % 25:02}", number // 500
        place = run / name / f"seed{seed}"
        shutil.copytree(run / "bicubic" / "seed0", place)
        told = {"method": name, "title": name, "seed": seed}
        (place / "result.json").write_text(json.dumps({**info, **told}))
    for command in (["status"], ["report", "--only", "table1"], ["report"]):
        begun = time.monotonic()
        place = ["--results", str(folder / "results"), "--run", "r"]
        with open(folder / "output", "w+") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmark", *command, *place],
                env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=output, stderr=output,
            )  # fmt: skip
            _, state, usage = os.wait4(process.pid, 0)
            output.seek(0)
            last = output.read().splitlines()[-1:]
        seconds, processor = time.monotonic() - begun, usage.ru_utime + usage.ru_stime
        print(f"{' '.join(command)}: {seconds:.1f} s, {processor:.1f} s of processor, {usage.ru_maxrss / 1024:.0f}"
              f" MB, exit code {os.waitstatus_to_exitcode(state)}; {last}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
