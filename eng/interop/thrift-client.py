"""Drives every call of Henge's Thrift API by Debian's python3-thrift. One line for each check; usage: thrift-client.py HOST:PORT binary|compact [CA].
With an authority, behind TLS, where access is checked: PASSWORD_FILE has the password of root, and TOKEN_FILE a token of the user ann, who may read and
write keys that begin with "a/"."""

import os
import socket
import ssl
import struct
import sys

from thrift import Thrift
from thrift.protocol import TBinaryProtocol, TCompactProtocol
from thrift.transport import TSocket, TTransport

from henge.v1 import KVStore
from henge.v1.ttypes import *

HOST, PORT = sys.argv[1].rsplit(":", 1)
ENCODING = sys.argv[2]
CA = sys.argv[3] if len(sys.argv) > 3 else None
NAME = f"python {ENCODING}" + (", TLS" if CA else "")
TAG = f"py{os.getpid()}:".encode()
PROTOCOLS = {"binary": TBinaryProtocol.TBinaryProtocol, "compact": TCompactProtocol.TCompactProtocol}


def check(name):
    """Runs a function as a check and prints what came of it."""

    def run(function):
        try:
            function()
            print(f"ok    {NAME}: {name}", flush=True)
        except Exception as e:  # a failed check must not end the others
            print(f"FAIL  {NAME}: {name}  {type(e).__name__}: {str(e)[:300]}", flush=True)
        return function

    return run


def expect(condition, detail=""):
    if not condition:
        raise AssertionError(detail or "not as expected")


def expect_error(kind, code, call, words=""):
    try:
        call()
    except kind as e:
        expect(e.code == code, f"code {e.code}")
        expect(words in e.message, e.message)
        return e
    raise AssertionError(f"no {kind.__name__}")


def raw():
    plain = socket.create_connection((HOST, int(PORT)), timeout=15)
    if not CA:
        return plain
    context = ssl.create_default_context(cafile=CA)
    return context.wrap_socket(plain, server_hostname=HOST)


def connect():
    handle = TSocket.TSocket()
    handle.setHandle(raw())
    transport = TTransport.TFramedTransport(handle)
    return KVStore.Client(PROTOCOLS[ENCODING](transport)), transport


def frame(send):
    """The frame of a call, as the library writes it."""
    buffer = TTransport.TMemoryBuffer()
    framed = TTransport.TFramedTransport(buffer)
    send(KVStore.Client(PROTOCOLS[ENCODING](framed)))
    return buffer.getvalue()


client, transport = connect()


def plain_checks():
    key = TAG + b"k"

    @check("put, get and remove, bytes of any kind")
    def _():
        value = bytes(range(256))
        put = client.put(PutRequest(key=key, value=value))
        expect(put.success and put.version > 0 and put.previous is None, put)
        got = client.get(GetRequest(key=key))
        expect(got.found and got.value == value and got.version == put.version and got.type == DataType.BYTES, got)
        expect(not client.get(GetRequest(key=TAG + b"none")).found)
        removed = client.remove(DeleteRequest(key=key, return_previous=True))
        expect(removed.success and removed.previous.value == value, removed)
        expect(not client.remove(DeleteRequest(key=key)).success)
        expect(client.get(GetRequest(key=key, version=put.version)).value == value, "the past")

    @check("conditions")
    def _():
        first = client.put(PutRequest(key=key, value=b"1", if_version=0))
        second = client.put(PutRequest(key=key, value=b"2", if_version=0, return_previous=True))
        expect(first.success and not second.success and second.version == first.version, second)
        expect(second.previous.value == b"1", second)
        refused = client.remove(DeleteRequest(key=key, if_version=first.version + 1))
        expect(refused.condition_failed and not refused.success, refused)
        expect(client.remove(DeleteRequest(key=key, if_version=first.version)).success)

    @check("times to live")
    def _():
        client.put(PutRequest(key=key, value=b"v", ttl_ms=600000))
        expect(0 < client.get(GetRequest(key=key)).ttl_remaining_ms <= 600000)
        client.put(PutRequest(key=key, value=b"w", keep_ttl=True))
        expect(0 < client.get(GetRequest(key=key, consistency=Consistency.LINEARIZABLE)).ttl_remaining_ms <= 600000)
        client.put(PutRequest(key=key, value=b"w", ttl_secs=3600))
        expect(600000 < client.get(GetRequest(key=key)).ttl_remaining_ms <= 3600000)

    @check("pages of a scan, as of one version")
    def _():
        for i in range(25):
            client.put(PutRequest(key=TAG + b"s/%02d" % i, value=b"%d" % i))
        page = client.scan(ScanRequest(prefix=TAG + b"s/", limit=10))
        version, keys = page.version, [p.key for p in page.pairs]
        client.put(PutRequest(key=TAG + b"s/00x", value=b"later"))
        while page.continuation:
            page = client.scan(ScanRequest(prefix=TAG + b"s/", limit=10, continuation=page.continuation))
            expect(page.version == version)
            keys += [p.key for p in page.pairs]
        expect(keys == [TAG + b"s/%02d" % i for i in range(25)], keys)
        last = client.scan(ScanRequest(start_key=TAG + b"s/20", end_key=TAG + b"s/22", reverse=True))
        expect([p.value for p in last.pairs] == [b"21", b"20"], last)
        expect(client.scan(ScanRequest(prefix=TAG + b"s/", count_only=True)).count == 26)
        expect(all(not p.value for p in client.scan(ScanRequest(prefix=TAG + b"s/", keys_only=True)).pairs))

    @check("several keys together")
    def _():
        puts = [PutRequest(key=TAG + b"m%d" % i, value=b"%d" % i) for i in range(50)]
        expect(all(o.result.success for o in client.multiPut(puts)))
        puts[0].if_version = 0
        outcomes = client.multiPut(puts[:2])
        expect(not outcomes[0].result.success and outcomes[1].result.success, outcomes)
        results = client.multiGet(MultiGetRequest(keys=[p.key for p in puts] + [TAG + b"none"]))
        expect([r.value for r in results[:50]] == [p.value for p in puts] and not results[50].found)

    @check("transactions")
    def _():
        one, two = TAG + b"{t}1", TAG + b"{t}2"
        request = TxnRequest(
            compare=[Compare(key=one, relation=Relation.EQUAL, exists=False)],
            success=[
                TxnOperation(put=PutRequest(key=one, value=b"x")),
                TxnOperation(get=GetRequest(key=one)),
                TxnOperation(remove=DeleteRequest(key=two)),
            ],
            failure=[TxnOperation(get=GetRequest(key=one))])
        first = client.txn(request)
        expect(first.succeeded and first.results[0].put.success and first.results[1].get.value == b"x", first)
        second = client.txn(request)
        expect(not second.succeeded and second.results[0].get.value == b"x", second)

    @check("the node's state")
    def _():
        status = client.status()
        expect(status.node_id == "node1" and status.role == "leader" and len(status.shards) > 0, status)
        expect(all(not s.error for s in status.shards), status)

    @check("errors are exceptions with codes")
    def _():
        expect_error(InvalidArgument, ErrorCode.INVALID_ARGUMENT, lambda: client.get(GetRequest()), "key is not set")
        expect_error(InvalidArgument, ErrorCode.INVALID_ARGUMENT, lambda: client.put(PutRequest(key=key, ttl_ms=-1)), "ttl_ms")
        expect_error(InvalidArgument, ErrorCode.INVALID_ARGUMENT, lambda: client.auth(Credentials(user="root", password="x")), "not checked")
        expect_error(TooLarge, ErrorCode.TOO_LARGE, lambda: client.put(PutRequest(key=b"k" * 20000, value=b"")), "limit")
        expect_error(TooLarge, ErrorCode.TOO_LARGE, lambda: client.put(PutRequest(key=key, value=b"v" * (5 << 20))), "limit")
        expect_error(HistoryGone, ErrorCode.HISTORY_GONE, lambda: client.get(GetRequest(key=key, at_unix_ms=1)), "2025")
        keys = [TAG + b"shard%d" % i for i in range(40)]
        txn = TxnRequest(success=[TxnOperation(get=GetRequest(key=k)) for k in keys])
        expect_error(CrossShard, ErrorCode.CROSS_SHARD, lambda: client.txn(txn))

    @check("large values")
    def _():
        value = os.urandom(4 << 20)
        expect(client.put(PutRequest(key=key, value=value)).success)
        expect(client.get(GetRequest(key=key)).value == value)

    @check("calls without waiting for answers are answered in order")
    def _():
        with raw() as stream:
            calls = b""
            for i in range(100):
                calls += frame(lambda c: c.send_put(PutRequest(key=key, value=b"%d" % i)))
                calls += frame(lambda c: c.send_get(GetRequest(key=key)))
            stream.sendall(calls)
            reader, handle = TSocket.TSocket(), None
            reader.setHandle(stream)
            answers = KVStore.Client(PROTOCOLS[ENCODING](TTransport.TFramedTransport(reader)))
            for i in range(100):
                expect(answers.recv_put().success)
                expect(answers.recv_get().value == b"%d" % i, i)

    @check("a call that there is not")
    def _():
        protocol = client._oprot
        protocol.writeMessageBegin("drop", Thrift.TMessageType.CALL, 7)
        protocol.writeStructBegin("drop_args")
        protocol.writeFieldStop()
        protocol.writeStructEnd()
        protocol.writeMessageEnd()
        protocol.trans.flush()
        try:
            client.recv_get()
        except Thrift.TApplicationException as e:
            expect(e.type == Thrift.TApplicationException.UNKNOWN_METHOD, e)
        else:
            raise AssertionError("it was done")
        expect(client.get(GetRequest(key=key)).found)

    @check("a frame that is too long is refused, with words")
    def _():
        other, way = connect()
        try:
            other.put(PutRequest(key=key, value=b"v" * (20 << 20)))
        except Thrift.TApplicationException as e:
            expect(e.type == Thrift.TApplicationException.PROTOCOL_ERROR and "limit" in e.message, e)
        else:
            raise AssertionError("it was taken")
        way.close()

    @check("what makes no sense ends its own connection and no other")
    def _():
        for junk in (b"\0\0\0\x08\x80\x01\0\x01\x7f\xff\xff\xff", b"\0\0\0\x06\x82\x21\xff\xff\xff\xff", frame(lambda c: c.send_status())[:-1]):
            with raw() as stream:
                stream.sendall(junk)
                stream.shutdown(socket.SHUT_WR)
                while stream.recv(4096):
                    pass
        expect(client.get(GetRequest(key=key)).found)


def guarded_checks():
    with open(os.environ["PASSWORD_FILE"], encoding="utf-8") as f:
        password = f.read().strip()
    with open(os.environ["TOKEN_FILE"], encoding="utf-8") as f:
        token = f.read().strip()

    @check("nothing is done before a login")
    def _():
        expect_error(Unauthenticated, ErrorCode.UNAUTHENTICATED, lambda: client.get(GetRequest(key=b"a/1")))
        expect_error(Unauthenticated, ErrorCode.UNAUTHENTICATED, lambda: client.status())
        expect_error(Unauthenticated, ErrorCode.UNAUTHENTICATED, lambda: client.auth(Credentials(user="root", password="wrong")))
        expect_error(Unauthenticated, ErrorCode.UNAUTHENTICATED, lambda: client.auth(Credentials(token="a.b.c")))
        expect_error(InvalidArgument, ErrorCode.INVALID_ARGUMENT, lambda: client.auth(Credentials()))

    @check("a token is its user, who may do what its roles say")
    def _():
        client.auth(Credentials(token=token))
        expect(client.put(PutRequest(key=b"a/1", value=TAG)).success)
        expect(client.get(GetRequest(key=b"a/1")).value == TAG)
        expect_error(PermissionDenied, ErrorCode.PERMISSION_DENIED, lambda: client.get(GetRequest(key=b"b/1")), "ann")
        outcomes = client.multiPut([PutRequest(key=b"a/2", value=b""), PutRequest(key=b"b/2", value=b"")])
        expect(outcomes[0].result.success and outcomes[1].failure.code == ErrorCode.PERMISSION_DENIED, outcomes)
        expect(client.status().node_id == "node1")

    @check("a password is its user, from then on")
    def _():
        client.auth(Credentials(user="root", password=password))
        expect(client.put(PutRequest(key=b"b/1", value=TAG)).success)
        expect(client.scan(ScanRequest(count_only=True)).count >= 3)

    @check("a long frame before the login is refused, with words")
    def _():
        other, way = connect()
        try:
            other.put(PutRequest(key=b"a/1", value=b"v" * (1 << 20)))
        except Thrift.TApplicationException as e:
            expect("Call auth first" in e.message, e)
        else:
            raise AssertionError("it was taken")
        way.close()


guarded_checks() if CA else plain_checks()
transport.close()
