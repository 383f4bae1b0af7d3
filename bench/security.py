"""The work of bench/security.sh, which says what it does."""

import argparse
import base64
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import ssl
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

TICK = os.sysconf("SC_CLK_TCK")
PASSWORD = "a long password of the benchmark"
KEY = "app/key"
VALUE = "ab" * 32


def say(text):
    print(text, file=sys.stderr, flush=True)


class Node:
    """A node of its own with one set of settings."""

    def __init__(self, name, henge, work, port, checks, tls, settings):
        self.name, self.henge, self.work, self.port, self.checks, self.tls, self.token = name, henge, work, port, checks, tls, None
        self.log = open(work / f"{name}.log", "w+")
        arguments = [henge, "serve", "--addr", f"127.0.0.1:{port}", "--data-dir", str(work / name)] + settings
        if tls:
            arguments += ["--tls-cert", str(work / "certs/node.127.0.0.1.crt"), "--tls-key", str(work / "certs/node.127.0.0.1.key")]
        self.process = subprocess.Popen(arguments, stdout=self.log, stderr=subprocess.STDOUT)

    def begin(self):
        self.context = ssl.create_default_context(cafile=str(self.work / "certs/ca.crt"))
        until(self.is_ready, f"{self.name} is ready")
        if self.checks:
            self.run("user", "add", "root", "--new-password-file", str(self.work / "secret"))
            self.run("auth", "enable", "--user", "root", "--password-file", str(self.work / "secret"))
            self.run("role", "add", "app", user="root")
            for i in range(15):
                self.run("role", "grant", "app", "--prefix", f"other{i}/", "read,write", user="root")
            self.run("role", "grant", "app", "--prefix", "app/", "read,write", user="root")
            self.run("role", "grant", "app", "--prefix", "key:", "read,write", user="root")
            self.run("user", "add", "shop", "--new-password-file", str(self.work / "secret"), user="root")
            self.run("user", "grant", "shop", "app", user="root")
            self.token = self.run("user", "token", "--ttl", "8h", user="shop").strip()

    def run(self, *arguments, user=None):
        command = [self.henge, *arguments, "--peers", f"127.0.0.1:{self.port}"]
        if user:
            command += ["--user", user, "--password-file", str(self.work / "secret")]
        if self.tls:
            command += ["--tls-ca", str(self.work / "certs/ca.crt")]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def is_ready(self):
        if self.process.poll() is not None:
            self.log.seek(0)
            sys.exit(self.log.read())
        try:
            scheme = "https" if self.tls else "http"
            with urllib.request.urlopen(f"{scheme}://127.0.0.1:{self.port}/readyz", timeout=5, context=self.context if self.tls else None):
                return True
        except OSError:
            return False

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port))
        return self.context.wrap_socket(connection, server_hostname="127.0.0.1") if self.tls else connection

    def ticks(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"Not in time: {what}.")
        time.sleep(0.1)


def fill(calls, run, seconds):
    """A short run says how many calls fill the time, and warms up."""
    return max(calls, int(run(calls) * seconds))


def h2load(node, seconds, arguments, path):
    scheme = "https" if node.tls else "http"
    if node.token:
        arguments = arguments + ["-H", f"authorization: Bearer {node.token}"]

    def run(calls):
        out = subprocess.run(["h2load", "-n", str(calls), "-c", "16", *arguments, f"{scheme}://127.0.0.1:{node.port}{path}"],
                             capture_output=True, text=True, timeout=300).stdout
        rate = re.search(r"^finished in .*?, ([\d.]+) req/s", out, re.M)
        if not re.search(rf"{calls} succeeded, 0 failed", out) or not rate:
            raise RuntimeError(out)
        return float(rate[1])

    return measured(node, run, fill(5_000, run, seconds))


def grpc(node, seconds, method):
    key = b"\x0a" + bytes([len(KEY)]) + KEY.encode()
    message = key + (b"\x12\x40" + VALUE.encode() if method == "Put" else b"")
    body = node.work / "body"
    body.write_bytes(b"\0" + struct.pack(">I", len(message)) + message)
    return h2load(node, seconds, ["-m", "16", "-d", str(body), "-H", "content-type: application/grpc", "-H", "te: trailers"],
                  f"/henge.v1.KVStore/{method}")


def rest(node, seconds, method):
    body = node.work / "rest"
    body.write_text(VALUE)
    arguments = ["--h1"] + (["-d", str(body), "-H", ":method: PUT"] if method == "PUT" else [])
    return h2load(node, seconds, arguments, f"/v1/kv/{KEY.replace('/', '%2F')}")


def resp(node, seconds, test):
    arguments = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(node.port), "-t", test, "-P", "16", "-c", "32", "-d", "64", "-r", "20000",
                 "-e", "--csv"]
    if node.token:
        arguments += ["--user", "shop", "-a", PASSWORD]
    if node.tls:
        arguments += ["--tls", "--cacert", str(node.work / "certs/ca.crt")]

    def run(calls):
        out = subprocess.run(arguments + ["-n", str(calls)], capture_output=True, text=True, timeout=300)
        if "Error" in out.stdout + out.stderr:
            raise RuntimeError(out.stdout + out.stderr)
        return float(re.search(rf'^"{test.upper()}","([\d.]+)"', out.stdout, re.M)[1])

    return measured(node, run, fill(50_000, run, seconds))


def json_lines(node, seconds, kind):
    connections, batch = 8, 64
    ask = {"Set": {"key": KEY, "value": VALUE}} if kind == "Set" else {"Get": {"key": KEY}}
    asks = (json.dumps(ask) + "\n").encode() * batch
    answer = b'{"Ok":null}' if kind == "Set" else json.dumps({"Ok": VALUE}, separators=(",", ":")).encode()

    def use(calls, wrong):
        connection = node.connect()
        try:
            if node.token:
                connection.sendall((json.dumps({"Auth": {"user": "shop", "password": PASSWORD}}) + "\n").encode())
                if b"Ok" not in connection.recv(1000):
                    raise RuntimeError("no login")
            for _ in range(calls // batch):
                connection.sendall(asks)
                got, data = 0, b""
                while got < batch:
                    part = connection.recv(65536)
                    if not part:
                        raise RuntimeError("closed")
                    data += part
                    got = data.count(b"\n")
                if data.count(answer) != batch:
                    raise RuntimeError(str(data[:200]))
        except (OSError, RuntimeError) as e:
            wrong.append(e)
        finally:
            connection.close()

    def run(calls):
        wrong = []
        threads = [threading.Thread(target=use, args=(calls // connections, wrong)) for _ in range(connections)]
        begun = time.monotonic()
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        if wrong:
            raise RuntimeError(str(wrong[0]))
        return calls / (time.monotonic() - begun)

    return measured(node, run, fill(20_000, run, seconds) // (connections * batch) * connections * batch)


def login(node, seconds, way):
    """New connections that log in, one after the other: with a password (RESP), or a REST request with one on a connection of its own."""
    basic = base64.b64encode(f"shop:{PASSWORD}".encode()).decode()
    request = (f"GET /v1/kv/none HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Basic {basic}\r\nconnection: close\r\n\r\n".encode() if way == "REST"
               else f"AUTH shop \"{PASSWORD}\"\r\n".encode() if node.token else b"PING\r\n")

    def run(calls):
        begun = time.monotonic()
        for _ in range(calls):
            connection = node.connect()
            connection.sendall(request)
            answer = connection.recv(1000)
            if not answer or answer.startswith(b"-"):
                raise RuntimeError(str(answer))
            connection.close()
        return calls / (time.monotonic() - begun)

    return measured(node, run, fill(20, run, seconds))


def measured(node, run, calls):
    """Calls a second, and microseconds of the node's processor time for a call."""
    ticks = node.ticks()
    rate = run(calls)
    return rate, (node.ticks() - ticks) * 1e6 / TICK / calls


ROWS = {
    "gRPC Put, 16 x 16": (grpc, "Put"),
    "gRPC Get, 16 x 16": (grpc, "Get"),
    "REST PUT, 16": (rest, "PUT"),
    "REST GET, 16": (rest, "GET"),
    "RESP SET, 32 x 16": (resp, "set"),
    "RESP GET, 32 x 16": (resp, "get"),
    "JSON lines Set, 8 x 64": (json_lines, "Set"),
    "JSON lines Get, 8 x 64": (json_lines, "Get"),
    "connect and first command, one at a time": (login, "RESP"),
}

CONFIGURATIONS = [
    # name, checks access, TLS, more settings
    ("open", False, False, []),
    ("access", True, False, []),
    ("audit", True, False, ["--audit-log", "{work}/audit.json", "--audit-keys", "all:"]),
    ("tls", False, True, []),
    ("tls+access", True, True, []),
]


def main():
    parser = argparse.ArgumentParser(prog="bench/security.sh")
    parser.add_argument("henge", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rows", default="")
    options = parser.parse_args()
    henge = str((options.henge / "henge" if options.henge.is_dir() else options.henge).resolve())
    rows = {name: row for name, row in ROWS.items() if any(word in name for word in options.rows.split(","))}
    work = pathlib.Path(tempfile.mkdtemp())
    os.umask(0o077)
    (work / "secret").write_text(PASSWORD + "\n")
    subprocess.run([henge, "cert", "create-ca", "--certs-dir", str(work / "certs")], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([henge, "cert", "create-node", "127.0.0.1", "--certs-dir", str(work / "certs")], check=True, stdout=subprocess.DEVNULL)
    port = 20_000 + random.randrange(100) * 100
    nodes = []
    try:
        for i, (name, checks, tls, settings) in enumerate(CONFIGURATIONS):
            nodes.append(Node(name, henge, work, port + i * 10, checks, tls, [s.replace("{work}", str(work)) for s in settings]))
        for node in nodes:
            node.begin()
        figures = {}
        for i in range(options.rounds):
            for name, row in rows.items():
                for node in nodes if i % 2 == 0 else nodes[::-1]:
                    try:
                        figure = row[0](node, options.seconds, row[1])
                    except (RuntimeError, ValueError, TypeError, subprocess.SubprocessError) as e:
                        say(f"  {name}, {node.name}: no figure: {str(e)[:300]}")
                        continue
                    figures.setdefault((name, node.name), []).append(figure)
                    load = pathlib.Path("/proc/loadavg").read_text().split()[0]
                    say(f"  {i + 1}  {name:42} {node.name:11} {figure[0]:10,.0f}/s {figure[1]:8.2f} us  (load {load})")
        for title, k, form in (("Calls a second", 0, "{:,.0f}"), ("Processor time of the node for a call, us", 1, "{:,.1f}")):
            print(f"\n{title}:\n\n| Row | " + " | ".join(n.name for n in nodes) + " |\n|---" * 1 + "|---" * len(nodes) + "|")
            for name in rows:
                base = figures.get((name, "open"))
                cells = []
                for node in nodes:
                    found = figures.get((name, node.name))
                    if not found:
                        cells.append("")
                        continue
                    value = statistics.median(f[k] for f in found)
                    ratio = f" ({value / statistics.median(f[k] for f in base):.2f})" if base and node.name != "open" else ""
                    cells.append(form.format(value) + ratio)
                print(f"| {name} | " + " | ".join(cells) + " |")
    finally:
        for node in nodes:
            node.end()
        shutil.rmtree(work, ignore_errors=True)


main()
