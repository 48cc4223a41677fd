"""No-op jobs through Buelon 1.0.78: its hub and a worker as processes, on loopback. Such jobs need no bucket.

`python run_buelon.py JOBS` in an environment that has it prints {"add_s", "run_s"}: seconds to send the jobs to the hub, and from
then until it knows none of them any more. The worker hangs now and then, when two messages come in one read; that is the end
of a measurement, and the exit code is 2.
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

# Seconds, for all of it.
PATIENCE = 20
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
    """Looks whether somebody listens; a connection without a word would be an exception in the hub."""
    while True:
        with open("/proc/net/tcp") as file:
            if any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in file):
                return
        time.sleep(0.05)


async def wait_until_done(ids, client):
    """The hub forgets a job that is done. One that it never had looks the same, so some must have been there."""
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
        # until it is there; and what is sent right behind a first message may be lost
        await asyncio.sleep(3)
        adding = time.perf_counter()
        for at in range(0, jobs, 500):
            await client.upload(steps[at : at + 500])
        added = time.perf_counter()
        await wait_until_done([step.id for step in steps], client)
        return {"add_s": added - adding, "run_s": time.perf_counter() - added}


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
            quiet = subprocess.DEVNULL
            processes.append(subprocess.Popen([program, verb], stdin=quiet, stdout=quiet, stderr=quiet))

        def end():
            for process in processes:
                process.kill()
                process.wait()

        def give_up(*_):
            # its client's threads would keep this process
            end()
            shutil.rmtree(folder, ignore_errors=True)
            os._exit(2)

        signal.signal(signal.SIGALRM, give_up)
        signal.alarm(PATIENCE)
        start("hub")
        wait_for(hub)
        with contextlib.redirect_stdout(sys.stderr):
            measured = asyncio.run(measure(jobs, start))
        print(json.dumps(measured), flush=True)
        end()


main(int(sys.argv[1]))
