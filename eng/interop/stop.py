"""Stops a node with SIGTERM while calls are open, and looks at how they end; usage: stop.py HOST:PORT PID."""

import os
import signal
import sys
import threading

import grpc

from henge.v1 import kv_pb2 as kv, kv_pb2_grpc
import health_v1_pb2 as health
import health_v1_pb2_grpc

channel = grpc.insecure_channel(sys.argv[1])
store = kv_pb2_grpc.KVStoreStub(channel)
watch = store.Watch(kv.WatchRequest(key_prefix=b"stop"))
watch.initial_metadata()
healthy = health_v1_pb2_grpc.HealthStub(channel).Watch(health.HealthCheckRequest())
next(healthy)
done = []


def write():
    try:
        for i in range(100_000):
            store.Put(kv.PutRequest(key=b"stop!", value=b"%d" % i), timeout=10)
            done.append(i)
    except grpc.RpcError as e:
        done.append(e)


writer = threading.Thread(target=write, daemon=True)
writer.start()
while len(done) < 50:
    pass
os.kill(int(sys.argv[2]), signal.SIGTERM)

failed = 0


def ends(name, stream, expected, last_status=None):
    global failed
    last = None
    try:
        for last in stream:
            pass
        code = grpc.StatusCode.OK
    except grpc.RpcError as e:
        code = e.code()
    good = code == expected and (last_status is None or (last is not None and last.status == last_status))
    failed += not good
    print(f"{'ok   ' if good else 'FAIL '} python: {name} ends with {expected.name} when the node stops  {'' if good else (code, last)}", flush=True)


ends("a watch", watch, grpc.StatusCode.UNAVAILABLE)
ends("a health watch that has told NOT_SERVING", healthy, grpc.StatusCode.OK, health.HealthCheckResponse.NOT_SERVING)
writer.join(15)
last = done[-1]
good = isinstance(last, grpc.RpcError) and last.code() == grpc.StatusCode.UNAVAILABLE
failed += not good
print(f"{'ok   ' if good else 'FAIL '} python: a writer is told UNAVAILABLE  {'' if good else last}", flush=True)
os._exit(1 if failed else 0)
