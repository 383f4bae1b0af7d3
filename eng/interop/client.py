"""What gRPC's core in C, by its Python client, makes of Henge's gRPC API: generated messages, streams and their flow, errors and trailers, compression,
deadlines, cancellation, connections. Every call and both paths are driven by the C# client (eng/interop/dotnet), and what calls mean by the tests of the
server. One line for each check; usage: client.py HOST:PORT."""

import concurrent.futures
import os
import queue
import sys
import threading
import time

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from henge.v1 import cluster_pb2, cluster_pb2_grpc, kv_pb2 as kv, kv_pb2_grpc
import reflection_v1_pb2 as reflection
import reflection_v1_pb2_grpc
import reflection_v1alpha_pb2 as reflection_alpha
import reflection_v1alpha_pb2_grpc

ADDRESS = sys.argv[1]
NAME = "python"
OPTIONS = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20)]
PATIENCE = 15
TAG = f"py{os.getpid()}:"

channel = grpc.insecure_channel(ADDRESS, options=OPTIONS)
store = kv_pb2_grpc.KVStoreStub(channel)
cluster = cluster_pb2_grpc.ClusterStub(channel)
failures = 0


def check(name):
    """Runs a function as a check and prints what came of it."""

    def run(function):
        global failures
        begin = time.monotonic()
        try:
            function()
            print(f"ok    {NAME}: {name}", flush=True)
        except Exception as e:  # a failed check must not end the others
            failures += 1
            detail = str(e).replace("\n", " ")[:300] or type(e).__name__
            print(f"FAIL  {NAME}: {name}  [{time.monotonic() - begin:.1f} s] {type(e).__name__}: {detail}", flush=True)
        return function

    return run


def key(name):
    return (TAG + name).encode()


def watch_of(**fields):
    """A watch that cannot hang the checks."""
    return store.Watch(kv.WatchRequest(**fields), timeout=PATIENCE)


def put(name, value=b"v", **fields):
    return store.Put(kv.PutRequest(key=key(name), value=value, **fields), timeout=PATIENCE)


def get(name, **fields):
    return store.Get(kv.GetRequest(key=key(name), **fields), timeout=PATIENCE)


def expect(condition, detail=""):
    if not condition:
        raise AssertionError(detail or "not as expected")


def expect_error(call, status, words="", henge=None):
    try:
        call()
    except grpc.RpcError as e:
        expect(e.code() == status, f"{e.code()} {e.details()} instead of {status}")
        expect(words in e.details(), f"\"{words}\" is not in: {e.details()}")
        if henge is not None:
            trailers = dict(e.trailing_metadata() or ())
            expect(trailers.get("henge-error") == str(henge), f"henge-error is {trailers.get('henge-error')} instead of {henge}")
        return e
    raise AssertionError(f"no error instead of {status}")


@check("get of what is not there")
def _():
    answer = get("missing")
    expect(not answer.found and answer.version == 0 and answer.value == b"")


@check("put, get, get of an old version, get of a moment")
def _():
    first = put("a", b"one")
    moment = int(time.time() * 1000)
    time.sleep(0.02)
    second = put("a", b"two")
    expect(first.success and second.version > first.version > 0)
    expect(get("a").value == b"two" and get("a").version == second.version)
    expect(get("a", version=first.version).value == b"one")
    expect(get("a", at_unix_ms=moment).value == b"one")


@check("binary keys and values, and empty values")
def _():
    everything = bytes(range(256))
    expect(store.Put(kv.PutRequest(key=TAG.encode() + everything, value=everything)).success)
    expect(store.Get(kv.GetRequest(key=TAG.encode() + everything)).value == everything)
    put("empty", b"")
    expect(get("empty").found and get("empty").value == b"")


@check("conditions: create once, compare and set, compare and delete")
def _():
    first = put("c", b"1", if_version=0)
    again = put("c", b"2", if_version=0, return_previous=True)
    expect(first.success and not again.success and again.version == first.version and again.previous.value == b"1")
    expect(put("c", b"3", if_version=first.version).success)
    refused = store.Delete(kv.DeleteRequest(key=key("c"), if_version=first.version))
    expect(refused.condition_failed and not refused.success)


@check("a stream of pages is of one version, while others write")
def _():
    for i in range(30):
        put(f"big{i:02}", bytes(200_000))
    pages = 0
    total = 0
    versions = set()
    for page in store.ScanStream(kv.ScanRequest(prefix=key("big"))):
        put(f"big{total % 30:02}", b"small")
        pages += 1
        total += len(page.pairs)
        versions.add(page.version)
        expect(all(len(p.value) == 200_000 for p in page.pairs))
    expect(total == 30 and pages > 1 and len(versions) == 1, f"{total} {pages} {versions}")


@check("watch: live events with reasons and previous values")
def _():
    watch = watch_of(key_prefix=key("w"), previous_values=True)
    watch.initial_metadata()  # the server sends it when the watch stands
    put("w1", b"1")
    put("w1", b"2")
    store.Delete(kv.DeleteRequest(key=key("w1")))
    put("w2", b"x", ttl_ms=30)
    events = [next(watch) for _ in range(5)]
    # The order is that of each key; the two lie on shards of their own.
    first = [e for e in events if e.key == key("w1")]
    second = [e for e in events if e.key == key("w2")]
    expect([e.event_type for e in first] == ["PUT", "PUT", "DELETE"], str(events))
    expect(first[1].previous.value == b"1" and first[2].previous.value == b"2")
    expect([e.reason for e in second] == [kv.WATCH_REASON_PUT, kv.WATCH_REASON_EXPIRED], str(second))
    watch.cancel()


@check("watch: from a past version, over to live, resumed by token")
def _():
    start = put("r", b"0").version
    for i in range(1, 20):
        put("r", b"%d" % i)
    watch = watch_of(key_prefix=key("r"), start_version=start)
    events = [next(watch) for _ in range(20)]
    expect([e.value for e in events] == [b"%d" % i for i in range(20)])
    token = events[-1].resume_token
    put("r", b"live")
    event = next(watch)
    expect(event.value == b"live")
    watch.cancel()
    expect(token or event.resume_token, "no token came")
    resumed = watch_of(key_prefix=key("r"), resume_token=event.resume_token or token)
    put("r", b"later")
    values = []
    while b"later" not in values:
        values.append(next(resumed).value)
    expect(values in ([b"later"], [b"live", b"later"]), str(values))
    resumed.cancel()


@check("watch: a slow watcher gets everything")
def _():
    watch = watch_of(key_prefix=key("slow"))
    watch.initial_metadata()
    for i in range(40):
        put("slow", b"%06d" % i + bytes(300_000))
    expect([int(next(watch).value[:6]) for _ in range(40)] == list(range(40)))
    watch.cancel()


@check("session: a thousand operations in batches, answered by id")
def _():
    requests = queue.Queue()
    answers = store.Session(iter(requests.get, None), timeout=PATIENCE)
    for batch in range(20):
        requests.put(kv.SessionRequest(operations=[
            kv.SessionOperation(id=batch * 50 + i, put=kv.PutRequest(key=key(f"n{batch * 50 + i}"), value=b"%d" % i)) for i in range(50)]))
    seen = {}
    while len(seen) < 1000:
        for result in next(answers).results:
            seen[result.id] = result
    expect(all(r.put.success for r in seen.values()))
    requests.put(kv.SessionRequest(operations=[
        kv.SessionOperation(id=1, get=kv.GetRequest(key=key("n7"))),
        kv.SessionOperation(id=2, delete=kv.DeleteRequest(key=key("n8"))),
        kv.SessionOperation(id=3, txn=kv.TxnRequest(then=[kv.TxnOperation(get=kv.GetRequest(key=key("n9")))])),
        kv.SessionOperation(id=4, scan=kv.ScanRequest(prefix=key("n99"))),
        kv.SessionOperation(id=5, get=kv.GetRequest()),
    ]))
    seen = {}
    while len(seen) < 5:
        for result in next(answers).results:
            seen[result.id] = result
    expect(seen[1].get.value == b"7" and seen[2].delete.success and seen[3].txn.results[0].get.value == b"9")
    expect(len(seen[4].scan.pairs) == 11 and seen[5].error.code == 1, str(seen[4]))
    requests.put(None)
    expect(list(answers) == [] and answers.code() == grpc.StatusCode.OK)


@check("errors: codes, words and trailers")
def _():
    expect_error(lambda: store.Get(kv.GetRequest()), grpc.StatusCode.INVALID_ARGUMENT, "The key is not set", henge=1)
    expect_error(lambda: store.Get(kv.GetRequest(key=bytes(16 * 1024 + 1))), grpc.StatusCode.INVALID_ARGUMENT, "limit is 16384", henge=2)
    expect_error(lambda: put("x", bytes(4 * 1024 * 1024 + 1)), grpc.StatusCode.INVALID_ARGUMENT, "limit is 4194304", henge=2)
    # A node that has only just begun has its history's floor yet to set: it does so within moments of its first scan.
    patience = time.monotonic() + 20
    while True:
        try:
            expect_error(lambda: get("x", version=1), grpc.StatusCode.OUT_OF_RANGE, "", henge=3)
            break
        except AssertionError:
            if time.monotonic() > patience:
                raise
            time.sleep(0.1)
    expect_error(lambda: store.Scan(kv.ScanRequest(continuation=b"x")), grpc.StatusCode.INVALID_ARGUMENT, "continuation", henge=1)
    expect_error(lambda: next(watch_of(start_version=1)), grpc.StatusCode.OUT_OF_RANGE, "", henge=3)


@check("unknown methods and services are UNIMPLEMENTED")
def _():
    raw = lambda path: channel.unary_unary(path, lambda m: m, lambda m: m)(b"", timeout=PATIENCE)
    expect_error(lambda: raw("/henge.v1.KVStore/Fly"), grpc.StatusCode.UNIMPLEMENTED, "no method")
    expect_error(lambda: raw("/no.Such/Service"), grpc.StatusCode.UNIMPLEMENTED, "no service")


@check("bytes that are no message are INVALID_ARGUMENT")
def _():
    for method in ("Get", "Put", "Delete", "Scan", "Txn"):
        call = channel.unary_unary(f"/henge.v1.KVStore/{method}", lambda m: m, lambda m: m)
        expect_error(lambda: call(b"\x0a\xff\xff\xff\xff\x0f", timeout=PATIENCE), grpc.StatusCode.INVALID_ARGUMENT, "", henge=1)


@check("the largest value travels both ways; a message over the limit is RESOURCE_EXHAUSTED")
def _():
    value = os.urandom(4 * 1024 * 1024)
    put("largest", value)
    expect(get("largest").value == value)
    expect_error(lambda: put("x", bytes(17 << 20)), grpc.StatusCode.RESOURCE_EXHAUSTED, "over the limit", henge=2)
    expect(get("largest").found, "the connection still works")


@check("gzip both ways")
def _():
    with grpc.insecure_channel(ADDRESS, options=OPTIONS, compression=grpc.Compression.Gzip) as packed:
        stub = kv_pb2_grpc.KVStoreStub(packed)
        expect(stub.Put(kv.PutRequest(key=key("gzip"), value=bytes(1_000_000))).success)
        expect(stub.Get(kv.GetRequest(key=key("gzip"))).value == bytes(1_000_000))
        expect(sum(len(p.pairs) for p in stub.ScanStream(kv.ScanRequest(prefix=key("gzip")))) == 1)


@check("compressions that are not known are UNIMPLEMENTED")
def _():
    with grpc.insecure_channel(ADDRESS, compression=grpc.Compression.Deflate) as packed:
        expect_error(lambda: kv_pb2_grpc.KVStoreStub(packed).Put(kv.PutRequest(key=key("x"), value=bytes(5000))), grpc.StatusCode.UNIMPLEMENTED, "deflate")


@check("deadlines end unary calls and streams")
def _():
    waiting = cluster_pb2.TopologyRequest(newer_than_epoch=1 << 60)
    expect_error(lambda: cluster.Topology(waiting, timeout=0.3), grpc.StatusCode.DEADLINE_EXCEEDED)
    expect_error(lambda: next(store.Watch(kv.WatchRequest(key_prefix=key("none")), timeout=0.2)), grpc.StatusCode.DEADLINE_EXCEEDED)
    expect_error(lambda: next(store.Session(iter(queue.Queue().get, None), timeout=0.2)), grpc.StatusCode.DEADLINE_EXCEEDED)


@check("cancelled calls end, and the connection goes on")
def _():
    for _ in range(50):
        watch = watch_of(key_prefix=key("none"))
        watch.initial_metadata()
        watch.cancel()
        expect(watch.code() == grpc.StatusCode.CANCELLED)
        future = store.Get.future(kv.GetRequest(key=key("a")))
        future.cancel()
    expect(get("a").value == b"two")


@check("metadata is taken, and too much of it ends its call only")
def _():
    answer, call = store.Get.with_call(kv.GetRequest(key=key("a")), metadata=[("x-trace", "1"), ("x-raw-bin", bytes(range(256)))])
    expect(answer.found and call.code() == grpc.StatusCode.OK)
    try:
        store.Get(kv.GetRequest(key=key("a")), metadata=[("x-long", "x" * 50_000)], timeout=PATIENCE)
        raise AssertionError("50 kB of headers were taken")
    except grpc.RpcError as e:
        expect(e.code() != grpc.StatusCode.OK)
    expect(store.Get(kv.GetRequest(key=key("a")), wait_for_ready=True, timeout=PATIENCE).found)


@check("hundreds of calls at once over one connection")
def _():
    futures = [store.Put.future(kv.PutRequest(key=key(f"many{i % 100}"), value=b"%d" % i), timeout=PATIENCE) for i in range(900)]
    expect(all(f.result().success for f in futures))
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        expect(all(pool.map(lambda i: get(f"many{i % 100}").found, range(600))))


@check("many watches see the same events in the same order")
def _():
    watches = [watch_of(key_prefix=key("all")) for _ in range(40)]
    for watch in watches:
        watch.initial_metadata()
    versions = [put("all", b"%d" % i).version for i in range(10)]
    for watch in watches:
        expect([next(watch).version for _ in versions] == versions)
        watch.cancel()


def reflect(module, stub, asked):
    """All answers to some reflection requests over one stream."""
    return list(stub.ServerReflectionInfo(iter(asked), timeout=PATIENCE))


@check("reflection v1 and v1alpha: services, files, symbols, what is not there")
def _():
    for module, stub in ((reflection, reflection_v1_pb2_grpc.ServerReflectionStub(channel)), (reflection_alpha, reflection_v1alpha_pb2_grpc.ServerReflectionStub(channel))):
        make = module.ServerReflectionRequest
        answers = reflect(module, stub, [
            make(list_services=""), make(file_by_filename="henge/v1/kv.proto"), make(file_containing_symbol="henge.v1.KVStore.Get"),
            make(file_containing_symbol="kvstore.KVStore"), make(file_by_filename="no.proto"), make(all_extension_numbers_of_type="henge.v1.GetRequest"),
        ])
        names = {s.name for s in answers[0].list_services_response.service}
        expect({"henge.v1.KVStore", "kvstore.KVStore", "henge.v1.Cluster", "grpc.health.v1.Health"} <= names, str(names))
        expect(all(len(a.file_descriptor_response.file_descriptor_proto) > 0 for a in answers[1:4]))
        expect(answers[4].error_response.error_code == 5)
        expect(answers[5].error_response.error_code == grpc.StatusCode.UNIMPLEMENTED.value[0])  # of grpc-dotnet: the API is proto3 and has no extensions


@check("reflection is enough for a call without .proto files")
def _():
    stub = reflection_v1_pb2_grpc.ServerReflectionStub(channel)
    answer = reflect(reflection, stub, [reflection.ServerReflectionRequest(file_containing_symbol="kvstore.KVStore")])[0]
    files = [descriptor_pb2.FileDescriptorProto.FromString(f) for f in answer.file_descriptor_response.file_descriptor_proto]
    pool = descriptor_pool.DescriptorPool()
    for file in reversed(files):
        pool.Add(file)
    method = pool.FindServiceByName("kvstore.KVStore").methods_by_name["Get"]
    factory = message_factory.MessageFactory(pool)
    request, response = factory.GetPrototype(method.input_type), factory.GetPrototype(method.output_type)
    call = channel.unary_unary("/kvstore.KVStore/Get", request.SerializeToString, response.FromString)
    expect(call(request(key=key("a"))).value == b"two")


@check("a hundred connections, one after the other and at once")
def _():
    for _ in range(50):
        with grpc.insecure_channel(ADDRESS, options=[("grpc.use_local_subchannel_pool", 1)]) as one:
            expect(kv_pb2_grpc.KVStoreStub(one).Get(kv.GetRequest(key=key("a")), timeout=PATIENCE).found)
    channels = [grpc.insecure_channel(ADDRESS, options=[("grpc.use_local_subchannel_pool", 1)]) for _ in range(50)]
    futures = [kv_pb2_grpc.KVStoreStub(c).Get.future(kv.GetRequest(key=key("a")), timeout=PATIENCE) for c in channels]
    expect(all(f.result().found for f in futures))
    for c in channels:
        c.close()


threading.excepthook = lambda args: None  # generators of cancelled streams end in their threads
sys.stdout.flush()
os._exit(0 if failures == 0 else 1)
