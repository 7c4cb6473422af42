"""A Slurm cluster on this machine: munge, slurmctld and two slurmd, in a folder of their own.

Two partitions share the nodes: ``main``, and ``urgent``, whose jobs take those of ``main`` off their nodes.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

NODES = ("one", "two")
_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
_CONF = """
ClusterName=test
SlurmctldHost={host}
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdTimeout=300
KillWait=10
MaxArraySize=20001
MaxJobCount=20000
NodeName={nodes[0]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 RealMemory=4000 State=UNKNOWN
NodeName={nodes[1]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=60
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""


def missing() -> str:
    """Why there can be no cluster here; "" if there can."""
    absent = [name for name in _PROGRAMS if shutil.which(name, path=_path()) is None]
    if absent:
        return f"{', '.join(absent)} not installed"
    return "" if os.geteuid() == 0 else "not root"


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin"


def _free_ports(count: int) -> list[int]:
    with ExitStack() as opened:
        probes = [opened.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("", 0))
        return [probe.getsockname()[1] for probe in probes]


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Start the cluster; yields the environment in which Slurm's commands mean it. Stopped at the end."""
    host = socket.gethostname().partition(".")[0]
    for name in ("state", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    text = _CONF.format(folder=folder, host=host, ports=_free_ports(3), nodes=NODES)
    (folder / "slurm.conf").write_text(text)
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": _path()}
    munge = ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", f"--key-file={key}",
             f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log",
             f"--seed-file={folder}/munged.seed"]  # fmt: skip
    with ExitStack() as started, open(folder / "output", "w") as output:

        def start(*command: str) -> None:
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
            started.callback(process.wait)
            started.callback(process.terminate)

        start(*munge)
        _wait(lambda: (folder / "munge.socket").exists(), folder)
        start("slurmctld", "-D")
        for node in NODES:
            start("slurmd", "-D", "-N", node)

        def idle() -> bool:
            states = subprocess.run(["sinfo", "-h", "-o", "%T"], env=environment, capture_output=True, text=True)
            return set(states.stdout.split()) == {"idle"}

        _wait(idle, folder)
        yield environment


def _wait(condition: Callable[[], bool], folder: Path, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError("".join(file.read_text() for file in [*folder.glob("*.log"), folder / "output"]))
        time.sleep(0.3)
