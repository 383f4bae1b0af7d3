"""Uses a cluster whose nodes have a part of the shards each, by redis-py in its stand-alone mode.

Usage: several.py PORT...; the ports are those of all nodes of one cluster, which must be empty at the start. When it prints "kill N", the
node of the N-th port is to be killed, and a line on standard input says that it was.
Prints "ok ..." or "FAIL ..." for each check.
"""
import itertools
import sys

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

PORTS = [int(p) for p in sys.argv[1:]]
KEYS = {f"py:{i}": f"value {i}" for i in range(200)}


def report(good, name, detail=""):
    print(("ok    " if good else "FAIL  ") + "redis-py: " + name + ("" if good else f"  {detail}"), flush=True)


# docs/protocol.md has this class: a connection that is to whichever of several nodes can be reached.
class AnyOf(redis.Connection):
    turn = itertools.count()

    def __init__(self, endpoints=(), **settings):
        super().__init__(**settings)
        self.endpoints = list(endpoints)

    def _connect(self):
        first, error = next(AnyOf.turn), None
        for i in range(len(self.endpoints)):
            self.host, self.port = self.endpoints[(first + i) % len(self.endpoints)]
            try:
                return super()._connect()
            except OSError as e:
                error = e
        raise error


def several(ports):
    pool = redis.ConnectionPool(
        connection_class=AnyOf,
        endpoints=[("127.0.0.1", p) for p in ports],
        decode_responses=True,
        socket_timeout=10,
        socket_connect_timeout=1,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.01), 20),
        retry_on_error=[redis.ConnectionError, redis.TimeoutError],
    )
    return redis.Redis(connection_pool=pool)


def main():
    one = [redis.Redis(port=p, decode_responses=True, socket_timeout=15) for p in PORTS]
    for key, value in KEYS.items():
        one[0].set(key, value)
    for i, r in enumerate(one):
        got = {key: r.get(key) for key in KEYS}
        report(got == KEYS, f"node {i + 1} answers for every key", [k for k in KEYS if got[k] != KEYS[k]][:3])
        report(r.mget(list(KEYS)) == list(KEYS.values()), f"node {i + 1}: MGET over all shards")
        found = sorted(r.scan_iter("py:*", count=17))
        report(found == sorted(KEYS), f"node {i + 1}: SCAN finds every key once", len(found))
        pipe = r.pipeline(transaction=False)
        for key in KEYS:
            pipe.append(key, f" {i}")
        report(all(isinstance(n, int) for n in pipe.execute()), f"node {i + 1}: a pipeline over all shards")
        KEYS.update({key: value + f" {i}" for key, value in KEYS.items()})
        with r.pipeline() as t:
            t.watch("{py}n")
            t.multi()
            t.incr("{py}n")
            t.set("{py}m", i)
            report(t.execute()[0] == i + 1, f"node {i + 1}: WATCH and MULTI on keys of one shard")
    info = one[0].execute_command("CLUSTER INFO")
    info = info if isinstance(info, str) else "".join(f"{k}:{v}\r\n" for k, v in info.items())
    report("cluster_enabled:0" in info or "henge_state:ok" in info, "CLUSTER INFO says how the cluster stands", info)

    r = several(PORTS)
    written = {}
    for i in range(300):
        if i == 100:
            # Whichever node this client is connected to.
            print("kill", PORTS.index(r.connection_pool._available_connections[-1].port) + 1, flush=True)
            sys.stdin.readline()
        r.set(f"py:after:{i}", i)
        written[f"py:after:{i}"] = str(i)
    got = dict(zip(written, r.mget(list(written))))
    report(got == written, "several endpoints: no error and nothing lost when the node that is used is killed", len(got))


main()
