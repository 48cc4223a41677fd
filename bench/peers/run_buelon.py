"""Run no-op jobs through Buelon 1.0.78, with its hub and a worker as processes on loopback. Such jobs need no bucket.

`python run_buelon.py JOBS`, in an environment with Buelon, prints {"add_s", "run_s"}: the seconds to send the jobs to the hub,
and from then until the hub has forgotten all of them. The worker hangs occasionally, when two messages arrive in one read; the
measurement is then abandoned with exit code 2.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

# The seconds that the whole measurement may take.
TIMEOUT = 20
SCOPES = "production-very-heavy,production-heavy,production-medium,production-small,testing-heavy,testing-small,default"
STEP = """
body:
    python
    body
    `
def body():
    return 1
`
work = | body
"""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def settings(hub):
    return {
        "hub": {"host": "127.0.0.1", "port": hub},
        "worker": {"host": "127.0.0.1", "port": hub, "scopes": SCOPES, "reverse": False, "info": {"name": "w"}},
        "bucket": {
            "server": {"use": True, "path": ".bue/bucket", "host": "127.0.0.1", "port": 61535},
            "client": {"use": True, "host": "127.0.0.1", "port": 61535},
            "postgres": {"use": False, "table": "t", "persistent_path": "p"},
        },
        "postgres": {"host": "localhost", "port": 1, "username": "x", "password": "x", "database": "x"},
    }


def wait_for(port):
    """Wait until a process listens. A connection without a message would raise an exception in the hub."""
    while True:
        with open("/proc/net/tcp") as file:
            if any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in file):
                return
        time.sleep(0.05)


async def wait_until_done(ids, client):
    """Wait until the hub has forgotten all jobs, as it does when they are done.

    Jobs that it never received look the same, so some must have been seen before.
    """
    seen = False
    while True:
        await asyncio.sleep(0.1)
        states = set((await client.get_job_status_bulk(ids)).values())
        if states <= {"success", "unknown"}:
            return seen or sys.exit(2)
        seen = True


async def measure(jobs, start):
    from buelon.core.pipe_interpreter import generate_steps_from_code
    from buelon.hub import BiWorkerClient

    steps = list(generate_steps_from_code(STEP + "work()\n" * jobs))
    async with BiWorkerClient() as client:
        start("worker")
        # until the worker is connected; messages sent right after the first one may be lost
        await asyncio.sleep(3)
        started = time.perf_counter()
        for at in range(0, jobs, 500):
            await client.upload(steps[at : at + 500])
        added = time.perf_counter()
        await wait_until_done([step.id for step in steps], client)
        return {"add_s": added - started, "run_s": time.perf_counter() - added}


def main(jobs):
    processes = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        hub = free_port()
        os.mkdir(".bue")
        with open(".bue/settings.yaml", "w") as file:
            json.dump(settings(hub), file)
        program = os.path.join(os.path.dirname(sys.executable), "bue")

        def start(verb):
            null = subprocess.DEVNULL
            processes.append(subprocess.Popen([program, verb], stdin=null, stdout=null, stderr=null))

        def stop():
            for process in processes:
                process.kill()
                process.wait()

        def give_up(*_):
            # a normal exit would wait for the threads of its client
            stop()
            shutil.rmtree(folder, ignore_errors=True)
            os._exit(2)

        signal.signal(signal.SIGALRM, give_up)
        signal.alarm(TIMEOUT)
        start("hub")
        wait_for(hub)
        with contextlib.redirect_stdout(sys.stderr):
            measured = asyncio.run(measure(jobs, start))
        print(json.dumps(measured), flush=True)
        stop()


main(int(sys.argv[1]))
