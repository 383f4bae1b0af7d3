"""The work of bench/unary.sh, which says what it does."""

import argparse
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

KEYS = 20_000
TICK = os.sysconf("SC_CLK_TCK")


def say(text):
    print(text, file=sys.stderr, flush=True)


class Side:
    """Three nodes of one build."""

    def __init__(self, name, path, settings, work, port):
        self.name, self.port = name, port
        self.program = str(path / "henge" if path.is_dir() else path)
        subprocess.run([self.program, "--version"], check=True, stdout=subprocess.DEVNULL)
        self.log = open(work / f"{name}.log", "w+")
        self.process = subprocess.Popen(
            [self.program, "dev", "--port", str(port), "--data-dir", str(work / name)],
            stdout=self.log, stderr=subprocess.STDOUT, env=os.environ | dict(s.split("=", 1) for s in settings))

    def begin(self):
        until(lambda: "is ready" in self.text() or self.process.poll() is not None, f"{self.name} is ready")
        until(lambda: fetch(f"http://127.0.0.1:{self.port}/readyz"), f"{self.name} answers")
        self.pids = [int(pid) for pid in re.findall(r"pid (\d+)", self.text())][:3]
        self.peers = ",".join(f"127.0.0.1:{self.port + i}" for i in range(3))
        self.hot = next((k for k in (f"hot{i}" for i in range(1, 60)) if self.leads(k)), None)
        if self.hot is None:
            sys.exit(f"No key was found that node 1 of {self.name} leads.")

    def text(self):
        return pathlib.Path(self.log.name).read_text()

    def leads(self, key):
        # leader_only (field 7) is refused by followers.
        with tempfile.NamedTemporaryFile() as body:
            body.write(frame(put(key) + b"\x38\x01"))
            body.flush()
            answer = subprocess.run(
                ["curl", "-s", "-m", "5", "--http2-prior-knowledge", "-o", "/dev/null", "-D", "-", "-H", "content-type: application/grpc",
                 "-H", "te: trailers", "--data-binary", f"@{body.name}", f"http://127.0.0.1:{self.port}/henge.v1.KVStore/Put"],
                capture_output=True, text=True)
        return re.search(r"^grpc-status: 0\r?$", answer.stdout, re.M) is not None

    def ticks(self):
        return sum(ticks_of(pid) for pid in self.pids)

    def settle(self):
        """Until nothing is flushed or compacted any more: what a row leaves behind is not the next row's."""
        before = None
        for _ in range(60):
            now = [re.findall(r"^henge_engine_io_written\S* (\S+)", fetch(f"http://127.0.0.1:{self.port + i}/metrics") or "", re.M) for i in range(3)]
            if now == before:
                return
            before = now
            time.sleep(1)

    def end(self):
        stop(self.process)


class Stack:
    """One value on Grpc.AspNetCore, without anything of Henge: the bound of the library."""

    name = "stack"
    hot = "hot"

    def __init__(self, project, port):
        subprocess.run(["dotnet", "build", str(project), "-c", "Release", "-v", "quiet", "-nologo"], check=True, stdout=subprocess.DEVNULL)
        self.port = port + 1
        self.process = subprocess.Popen([str(project / "bin/Release/net10.0/Henge.Stack"), str(port)], stdout=subprocess.DEVNULL)
        self.pids = [self.process.pid]

    def begin(self):
        until(lambda: can_connect(self.port), "the stack answers")

    def ticks(self):
        return sum(ticks_of(pid) for pid in self.pids)

    def settle(self):
        pass

    def end(self):
        stop(self.process)


def ticks_of(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return None


def can_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def until(condition, what, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"Not in time: {what}.")
        time.sleep(0.1)


def frame(message):
    return b"\0" + struct.pack(">I", len(message)) + message


def get(key):
    return b"\x0a" + bytes([len(key)]) + key.encode()


def put(key):
    return get(key) + b"\x12\x40" + b"ab" * 32


def h2load(side, method, streams, seconds, work):
    body = work / "body"
    body.write_bytes(frame(put(side.hot) if method == "Put" else get(side.hot)))

    def run(calls):
        out = subprocess.run(
            ["h2load", "-n", str(calls), "-c", "16", "-m", str(streams), "-d", str(body), "-H", "content-type: application/grpc", "-H",
             "te: trailers", f"http://127.0.0.1:{side.port}/henge.v1.KVStore/{method}"], capture_output=True, text=True, timeout=300).stdout
        rate = re.search(r"^finished in .*?, ([\d.]+) req/s", out, re.M)
        if not re.search(rf"{calls} succeeded, 0 failed", out) or not rate:
            raise RuntimeError(out)
        return float(rate[1])

    # A short run says how many calls fill the time, and warms up.
    return measured(side, run, max(20_000, int(run(20_000) * seconds)))


def bench(side, scheme, read_ratio, callers, seconds, work):
    def run(_):
        # Without profiling the generator is compiled for speed within its warm-up; its collector leaves the second core alone, as ./henge has it.
        out = subprocess.run(
            [side.program, "bench", "--output", "json", "--warm-up", "2s", "--duration", f"{seconds}s", "--value-size", "64", "--keys", str(KEYS),
             "--preload", "true" if read_ratio == 0 else "false", "--target", f"{scheme}://{side.peers}", "--read-ratio", str(read_ratio),
             "--concurrency", str(callers)], capture_output=True, text=True, timeout=300, env=os.environ | {"DOTNET_TieredPGO": "0", "DOTNET_gcConcurrent": "0"})
        result = json.loads(out.stdout)
        if result["errors"] > result["operations"] / 1000:
            raise RuntimeError(str(result.get("errorMessages")))
        return result["operationsPerSecond"]

    # What is made before and while it warms up is in the processor time, and in the count as if it had gone at the same rate.
    return measured(side, run, None, seconds + 2)


def redis(side, test, seconds, work):
    def run(calls):
        out = subprocess.run(
            ["redis-benchmark", "-h", "127.0.0.1", "-p", str(side.port), "-t", test, "-P", "16", "-n", str(calls), "-c", "64", "-d", "64", "-r",
             str(KEYS), "-e", "--csv"], capture_output=True, text=True, timeout=300)
        if "Error" in out.stdout + out.stderr:
            raise RuntimeError(out.stdout + out.stderr)
        return float(re.search(rf'^"{test.upper()}","([\d.]+)"', out.stdout, re.M)[1])

    return measured(side, run, int(run(100_000) * seconds) + 1000)


def measured(side, run, calls, seconds=None):
    """Rate, microseconds of the nodes' processor time a call, and of the generator's."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    ticks = side.ticks()
    rate = run(calls)
    ticks = side.ticks() - ticks
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    generator = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
    calls = calls or rate * seconds
    return rate, ticks * 1e6 / TICK / calls, generator * 1e6 / calls


ROWS = {
    "h2load Put 16 x 4": (h2load, "Put", 4),
    "h2load Get 16 x 4": (h2load, "Get", 4),
    "h2load Put 16 x 64": (h2load, "Put", 64),
    "h2load Get 16 x 64": (h2load, "Get", 64),
    "bench unary put, 64": (bench, "grpc", 0, 64),
    "bench unary get, 64": (bench, "grpc", 1, 64),
    "bench unary put, 1,024": (bench, "grpc", 0, 1024),
    "bench unary get, 1,024": (bench, "grpc", 1, 1024),
    "sessions put, 64": (bench, "henge", 0, 64),
    "sessions get, 64": (bench, "henge", 1, 64),
    "sessions put, 1,024": (bench, "henge", 0, 1024),
    "sessions get, 1,024": (bench, "henge", 1, 1024),
    "RESP SET 64 x 16": (redis, "set"),
    "RESP GET 64 x 16": (redis, "get"),
}


def main():
    parser = argparse.ArgumentParser(prog="bench/unary.sh")
    parser.add_argument("a", type=pathlib.Path)
    parser.add_argument("b", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rows", default="h2load,bench")
    parser.add_argument("--no-stack", action="store_true")
    parser.add_argument("--set-a", action="append", default=[])
    parser.add_argument("--set-b", action="append", default=[])
    options = parser.parse_args()
    rows = {name: row for name, row in ROWS.items() if any(word in name for word in options.rows.split(","))}
    work = pathlib.Path(tempfile.mkdtemp())
    port = 20_000 + random.randrange(100) * 100
    sides = []
    try:
        sides.append(Side("A", options.a.resolve(), options.set_a, work, port))
        sides.append(Side("B", options.b.resolve(), options.set_b, work, port + 10))
        if not options.no_stack:
            sides.append(Stack(pathlib.Path(__file__).resolve().parent / "Henge.Stack", port + 20))
        for side in sides:
            side.begin()
        figures = {}
        for i in range(options.rounds):
            for name, row in rows.items():
                for side in sides if i % 2 == 0 else sides[::-1]:
                    if side.name == "stack" and not (name.startswith("h2load Get")):
                        continue
                    try:
                        figure = row[0](side, *row[1:], options.seconds, work)
                    except (RuntimeError, ValueError, TypeError, subprocess.SubprocessError) as e:
                        say(f"  {name}, {side.name}: no figure: {str(e)[:300]}")
                        continue
                    figures.setdefault((name, side.name), []).append(figure)
                    load = pathlib.Path("/proc/loadavg").read_text().split()[0]
                    say(f"  {i + 1}  {name:24} {side.name:6} {figure[0]:10,.0f}/s {figure[1]:6.2f} us, generator {figure[2]:6.2f} us  (load {load})")
                    side.settle()
        table(rows, figures)
    finally:
        for side in sides:
            side.end()
        shutil.rmtree(work, ignore_errors=True)


def table(rows, figures):
    print("| Row | A | B | B/A | processor time of nodes A | B | B/A | of the generator A | B | stack | B/stack | its processor time |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name in rows:
        sides = [tuple(statistics.median(f[k] for f in figures[name, s]) for k in range(3)) if (name, s) in figures else None
                 for s in ("A", "B", "stack")]
        a, b, stack = sides
        rate = [f"{s[0]:,.0f}/s" if s else "" for s in sides]
        cpu = [f"{s[1]:.2f} us" if s else "" for s in sides]
        own = [f"{s[2]:.2f} us" if s else "" for s in sides]
        pairs = "".join(f" {x} |" for x in (
            rate[0], rate[1], f"{b[0] / a[0]:.2f}" if a and b else "", cpu[0], cpu[1], f"{b[1] / a[1]:.2f}" if a and b and a[1] else "",
            own[0], own[1], rate[2], f"{b[0] / stack[0]:.2f}" if b and stack else "", cpu[2]))
        print(f"| {name} |{pairs}")


main()
