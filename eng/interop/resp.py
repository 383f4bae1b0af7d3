"""Compares the RESP door of a Henge cluster with a real Redis, reply by reply.

Usage: resp.py REDIS_PORT HENGE_PORT... (several nodes of one cluster; most checks go to the second of them).
Prints "ok ..." or "FAIL ..." for each check. Both servers must be empty at the start.
"""
import os
import shlex
import socket
import sys
import time

REDIS, NODES = int(sys.argv[1]), [int(p) for p in sys.argv[2:]]
HENGE = NODES[min(1, len(NODES) - 1)]


def report(good, name, detail=""):
    print(("ok    " if good else "FAIL  ") + name + ("" if good else "  " + detail), flush=True)


class Raw:
    """A connection that shows replies exactly as they are on the wire, in RESP2 or RESP3."""

    def __init__(self, port, protocol=2):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=15)
        self.file = self.socket.makefile("rb")
        if protocol == 3:
            self.call("HELLO", "3")

    def send(self, *arguments):
        parts = [a if isinstance(a, bytes) else str(a).encode() for a in arguments]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))

    def call(self, *arguments):
        self.send(*arguments)
        return self.read()

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            return ("closed", line) if line else ("closed",)
        kind, rest = chr(line[0]), line[1:-2]
        if kind in "$=":
            if rest == b"-1":
                return (kind, None)
            body = self.file.read(int(rest) + 2)
            return (kind, body[:-2])
        if kind in "*>~":
            return (kind, None) if rest == b"-1" else (kind, [self.read() for _ in range(int(rest))])
        if kind == "%":
            return (kind, [(self.read(), self.read()) for _ in range(int(rest))])
        return (kind, rest)

    def rest(self):
        """All that comes until the other side closes."""
        try:
            return self.file.read()
        except (socket.timeout, ConnectionResetError) as e:
            return type(e).__name__.encode()

    def close(self):
        self.file.close()
        self.socket.close()


def short(reply):
    text = repr(reply)
    return text if len(text) < 220 else text[:220] + "..."


def same(a, b):
    return a == b


def unordered(a, b):
    return a[0] == b[0] and sorted(map(repr, a[1])) == sorted(map(repr, b[1]))


def kind(a, b):
    """Only the type, and of errors the first word."""
    return a[0] == b[0] and (a[0] != "-" or a[1].split()[0] == b[1].split()[0])


def near(tolerance):
    return lambda a, b: a[0] == b[0] == ":" and abs(int(a[1]) - int(b[1])) <= tolerance


def number(a, b):
    """Redis adds in extended precision, Henge in 64 bits: the same number, maybe with other last digits."""
    return a[0] == b[0] == "$" and abs(float(a[1]) - float(b[1])) < 1e-9


# A case is a command line; '%' stands for a prefix that keeps runs apart. After ' ## ' there may be how to compare: 'any order', 'type', 'near N',
# 'number', 'any' reply of that type, 'LESS', or 'henge: REPLY' where Henge is known to differ, which is then held to exactly that beginning of its reply
# ('henge: text BEGINNING': of a text that is no error).
CASES = r"""
PING
PING hello
ECHO hello
PING a b
ECHO
SELECT 0
SELECT abc
SELECT 99
GET %a ## henge: ERR 'get' was not done
SELECT 0
GET %none
SET %a 1
GET %a
get %a
gEt %a
SET %a 2 NX
SET %a 2 XX
GET %a
SET %b 2 XX
SET %b 2 NX
GET %b
SET %b 3 GET
SET %new 3 GET
SET %b 4 NX GET
SET %b 5 XX GET
SET %new2 5 NX GET
SET %none5 5 XX GET
GET %none5
SET %a 1 EX 100
TTL %a
SET %a 1 KEEPTTL
TTL %a
SET %a 1
TTL %a
SET %a 1 PX 100000
PTTL %a ## near 2000
SET %a 1 EXAT 3900000000
TTL %a ## near 3
SET %a 1 PXAT 3900000000000
PTTL %a ## near 3000
SET %a 1 PXAT 1
GET %a
SET %a 1 EX 0
SET %a 1 EX -1
SET %a 1 PX 0
SET %a 1 EX abc
SET %a 1 EX
SET %a 1 EX 10 PX 10
SET %a 1 EX 10 KEEPTTL
SET %a 1 KEEPTTL EX 10
SET %rep 1 NX NX
SET %rep 2 XX XX EX 100 EX 200
TTL %rep
SET %rep 3 GET GET KEEPTTL KEEPTTL
GETEX %rep EX 5 EX 300
TTL %rep
GETEX %rep PERSIST PERSIST
GETEX %rep EX 5 PX 5
SETEX %rep 9223370000000000 v
PSETEX %rep 9223370000000000000 v
SET %rep v PX 9223370000000000000
SET %rep v EXAT 9223370000000000
PEXPIREAT %rep 9223372036854775807
PEXPIRE %rep 9223370000000000000
GETEX %rep PXAT 9223372036854775807
SETEX %rep 9223372036854775 v
PSETEX %rep 9223372036854775807 v
EXPIRE %rep 9223372036854776
EXPIRE %rep -9223372036854776
EXPIRE %rep -9223372036854775
GET %rep
SET %rep v
PEXPIREAT %rep -9223372036854775807
GET %rep
SET %a 1 NX XX
SET %a 1 XX NX
SET %a 1 BOGUS
SET %a
SET %a 1 EX 9223372036854775807
SET %a 1 EX 9223372036854775808
SET %a 1 PX 9223372036854775807
SET %a 1 nx
SET %a 2 xx ex 100 get
TTL %a
SETNX %snx 1
SETNX %snx 2
GET %snx
SETNX %snx
SETEX %sx 100 v
TTL %sx
SETEX %sx 0 v
SETEX %sx -5 v
SETEX %sx abc v
SETEX %sx 9223372036854775807 v
PSETEX %sx 100000 w
PTTL %sx ## near 2000
PSETEX %sx 0 w
GETSET %gs 1
GETSET %gs 2
GET %gs
SET %gs 3 EX 100
GETSET %gs 4
TTL %gs
GETDEL %gs
GETDEL %gs
GETDEL
GETEX %none
SET %ge v
GETEX %ge
TTL %ge
GETEX %ge EX 100
TTL %ge
GETEX %ge PERSIST
TTL %ge
GETEX %ge PX 100000
PTTL %ge ## near 2000
GETEX %ge EXAT 3900000000
TTL %ge ## near 3
GETEX %ge EX 0
GETEX %ge EX abc
GETEX %ge EX
GETEX %ge BOGUS
GETEX %ge EX 1 PERSIST
GETEX %ge PXAT 1
GET %ge
MSET %m1 1 %m2 2 %m3 3
MGET %m1 %m2 %none %m3 %m1
MGET %m1
MGET
MSET %m1
MSET %m1 1 %m2
MSET %m1 a %m1 b
GET %m1
MSETNX {%t}a 1 {%t}b 2
MSETNX {%t}b 1 {%t}c 2
MGET {%t}a {%t}b {%t}c
MSETNX {%t}a
MSETNX {%t}a 1 {%t}b
STRLEN %m1
STRLEN %none
STRLEN
APPEND %ap hello
APPEND %ap " world"
GET %ap
STRLEN %ap
APPEND %ap ""
SET %ap x EX 100
APPEND %ap y
TTL %ap
APPEND %ap
INCR %i
INCR %i
INCRBY %i 10
DECR %i
DECRBY %i 5
GET %i
INCRBY %i -3
DECRBY %i -3
INCRBY %i abc
INCRBY %i 1.5
INCRBY %i 9223372036854775808
INCRBY %i ""
INCRBY %i " 1"
INCRBY %i +1
INCRBY %i 01
INCRBY %i -0
DECRBY %i -9223372036854775808
SET %big 9223372036854775807
INCR %big
INCRBY %big 1
DECRBY %big -1
DECR %big
SET %small -9223372036854775808
DECR %small
DECRBY %small 1
INCRBY %small -1
SET %text abc
INCR %text
DECR %text
INCRBY %text 1
GET %text
SET %text " 1"
INCR %text
SET %text "1 "
INCR %text
SET %text 01
INCR %text
SET %text ""
INCR %text
SET %text 1.0
INCR %text
SET %ttl 5 EX 100
INCR %ttl
TTL %ttl
INCR
INCR %i 2
INCRBY %i
INCRBYFLOAT %f 10.5
INCRBYFLOAT %f 0.1
INCRBYFLOAT %f -5
INCRBYFLOAT %f 5.0e3 ## number
GET %f ## number
INCRBYFLOAT %f abc
INCRBYFLOAT %f nan
INCRBYFLOAT %f inf
INCRBYFLOAT %f ""
INCRBYFLOAT %f " 1"
SET %f abc
INCRBYFLOAT %f 1
SET %f 3.0
INCRBYFLOAT %f 1.5
INCRBYFLOAT %f 0.5
SET %f 5.0e3
INCRBYFLOAT %f 2.0e2
SET %f 1e20
INCRBYFLOAT %f 1
SET %f 0.1
INCRBYFLOAT %f 0.2
INCRBYFLOAT %f -0.3
INCRBYFLOAT %f 1e-10
INCRBYFLOAT %f
SET %d1 1
SET %d2 2
DEL %d1 %d2 %none
DEL %d1
DEL
SET %d1 1
DEL %d1 %d1
UNLINK %d1 %none
SET %d1 1
UNLINK %d1
UNLINK
SET %e1 1
EXISTS %e1
EXISTS %e1 %e1 %none
EXISTS %none
EXISTS
TYPE %e1
TYPE %none
TYPE
EXPIRE %none 10
EXPIRE %e1 100
TTL %e1
PTTL %e1 ## near 2000
PERSIST %e1
PERSIST %e1
PERSIST %none
TTL %e1
TTL %none
PTTL %none
PTTL %e1
PEXPIRE %e1 100000
TTL %e1
EXPIREAT %e1 3900000000
TTL %e1 ## near 3
PEXPIREAT %e1 3900000000000
PTTL %e1 ## near 3000
EXPIRE %e1 100 NX
EXPIRE %e1 100 XX
EXPIRE %e1 50 GT
EXPIRE %e1 200 GT
EXPIRE %e1 300 LT
EXPIRE %e1 100 LT
TTL %e1
PERSIST %e1
EXPIRE %e1 100 XX
EXPIRE %e1 100 GT
EXPIRE %e1 100 NX
PERSIST %e1
EXPIRE %e1 100 LT
EXPIRE %e1 abc
EXPIRE %e1
EXPIRE %e1 100 BOGUS
EXPIRE %e1 100 NX XX
EXPIRE %e1 100 GT LT
EXPIRE %e1 100 NX GT
EXPIRE %e1 100 XX GT
EXPIRE %e1 100 XX LT ## henge: ERR XX and LT
SET %far 1 EXAT 4000000000
TTL %far ## LESS
EXPIRE %e1 9223372036854775807
EXPIRE %e1 -9223372036854775807
EXPIRE %e1 9223372036854775808
PEXPIRE %e1 9223372036854775807
EXPIRE %e1 -1
EXISTS %e1
SET %e1 1
EXPIRE %e1 0
EXISTS %e1
SET %e1 1
EXPIREAT %e1 1
EXISTS %e1
SET %e1 1
PEXPIREAT %e1 1000
GET %e1
TTL
PERSIST
SET "" empty-key
GET ""
DEL ""
SET %empty ""
GET %empty
STRLEN %empty
EXISTS %empty
SET "%key with blanks" "value\twith\nbreaks"
GET "%key with blanks"
KEYS %m? ## any order
KEYS %m[12] ## any order
KEYS %m[^12]
KEYS %m* ## any order
KEYS %nothing*
MSET %ga- 1 %gaa 2 %ga] 3 %gab 4
KEYS %ga[a-] ## any order
KEYS %ga[-a] ## any order
KEYS %ga[a ## any order
KEYS %ga[
KEYS %ga[^ ## any order
KEYS %ga[]
KEYS %ga[b-a] ## any order
KEYS %ga[\\]] ## any order
KEYS %ga[a- ## any order
KEYS %ga[a-b ## any order
DEL %ga- %gaa %ga] %gab
KEYS
SCAN abc
SCAN 0 COUNT
SCAN 0 COUNT 0
SCAN 0 COUNT abc
SCAN 0 BOGUS 1
SCAN 0 MATCH
SCAN
DBSIZE
DBSIZE 1
RANDOMKEY ## type
TIME 1
NOSUCH
NOSUCH a b
nosuch "long argument"
LPUSH %l 1 ## henge: ERR unknown command 'LPUSH'
AUTH secret
AUTH user secret
AUTH default secret
AUTH default ""
AUTH DEFAULT x
HELLO 2 AUTH other x
CLIENT SETNAME "a b"
CLIENT SETNAME "a\nid=7"
CLIENT SETNAME ""
CLIENT NO-EVICT maybe
CLIENT NO-EVICT on
CLIENT ID x
CLIENT GETNAME x
CLIENT INFO x
AUTH
CLIENT SETNAME tester
CLIENT GETNAME
CLIENT ID ## type
CLIENT INFO ## type
CLIENT
CLIENT BOGUS ## type
COMMAND COUNT ## type
COMMAND BOGUS ## type
INFO ## type
INFO server ## type
TIME ## type
HELLO 4
HELLO abc
HELLO 2 BOGUS ## type
HELLO 2 AUTH user x
EXEC
DISCARD
UNWATCH
WATCH
MULTI
UNWATCH
SET {%x}a 1
EXEC
WATCH {%x}a
SET {%x}a 2
MULTI
UNWATCH
EXEC
MULTI
SET {%x}a 1
INCR {%x}n
GET {%x}a
GET {%x}none
DEL {%x}a {%x}b
EXISTS {%x}a {%x}n
MSET {%x}p 1 {%x}q 2
MGET {%x}p {%x}q {%x}z
TTL {%x}p
TYPE {%x}p
APPEND {%x}p more
STRLEN {%x}p
EXPIRE {%x}p 100
TTL {%x}p
PERSIST {%x}p
SETNX {%x}p 5
MSETNX {%x}y 1 {%x}z 2
GETSET {%x}q 3
GETDEL {%x}q
INCRBYFLOAT {%x}f 1.5
SET {%x}p v GET
SET {%x}p v NX
PING
ECHO inside
EXEC
MGET {%x}a {%x}n {%x}p {%x}q
MULTI
MULTI
SET {%x}a 9
DISCARD
GET {%x}a
MULTI
EXEC
MULTI
SET {%x}a 10
NOSUCH
EXEC
GET {%x}a
MULTI
SET {%x}a 10
GET
EXEC
GET {%x}a
SET {%x}s text
MULTI
SET {%x}a 11
INCR {%x}s
SET {%x}c 12
EXEC
MGET {%x}a {%x}c
MULTI
SET {%x}a 12
INCRBY {%x}n notanumber
SET {%x}c 13 EX 0
EXPIRE {%x}c x
SET {%x}c 14
EXEC
MGET {%x}a {%x}c {%x}n
WATCH {%x}a {%x}none
MULTI
SET {%x}a 20
EXEC
WATCH {%x}a
SET {%x}a 21
MULTI
SET {%x}a 22
EXEC
GET {%x}a
WATCH {%x}none
SET {%x}none 1
DEL {%x}none
UNWATCH
MULTI
GET {%x}a
EXEC
WATCH {%x}a
SET {%x}a 23
MULTI
DISCARD
MULTI
SET {%x}a 24
EXEC
GET {%x}a
MULTI
WATCH {%x}a
EXEC
MULTI
SET {%x}a 1 EX 100
EXEC
TTL {%x}a
MULTI
SET {%x}a 1 BOGUS
EXEC
MULTI
SET %one 1
SET %two 2
SET %three 3
SET %four 4
SET %five 5
EXEC ## henge: CROSSSLOT
MGET %one %two ## henge: [null, null]
DEL %one %two %three %four %five ## any
MSETNX %one 1 %two 2 %three 3 %four 4 %five 5 ## henge: CROSSSLOT
EXISTS %one %two ## henge: 0
DEL %one %two %three %four %five %l ## any
"""

TEXTS = {
    "[null, null]": {2: ("*", [("$", None)] * 2), 3: ("*", [("_", b"")] * 2)},
    "0": {2: (":", b"0"), 3: (":", b"0")},
}


def words(line, prefix):
    lexer = shlex.split(line.replace("%", prefix), posix=True)
    return [w.encode().decode("unicode_escape").encode("latin1") for w in lexer]


def from_file(name):
    """More cases in the same form, a file for a subject."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), encoding="utf-8") as file:
        return file.read()


def compare_cases(cases, protocol, port, label):
    redis, henge, prefix = Raw(REDIS, protocol), Raw(port, protocol), label + ":"
    for line in cases.strip().splitlines():
        line, _, how = line.partition(" ## ")
        command = words(line, prefix)
        expected, got = redis.call(*command), henge.call(*command)
        name = f"{label}: {line}"
        if how.startswith("henge: "):
            wanted = how[7:]
            if wanted.startswith("text "):
                text = got[1].removeprefix(b"txt:") if got[0] in "$=" else b""
                report(text.decode().startswith(wanted[5:]), name + " (known difference)", f"expected {wanted}, got {short(got)}")
            elif wanted in TEXTS:
                report(got == TEXTS[wanted][protocol], name + " (known difference)", f"expected {wanted}, got {short(got)}")
            else:
                report(got[0] == "-" and got[1].decode().startswith(wanted), name + " (known difference)", f"expected {wanted}, got {short(got)}")
            continue
        if how == "any":
            report(got[0] == expected[0], name + " (tidies up)", short(got))
            continue
        if how == "LESS":
            report(0 < int(got[1]) < int(expected[1]), name + " (known difference: time ends in 2094)", short(got))
            continue
        test = unordered if how == "any order" else number if how == "number" else kind if how == "type" else near(int(how[5:])) if how.startswith("near") else same
        report(test(expected, got), name, f"Redis {short(expected)}, Henge {short(got)}")
    redis.close()
    henge.close()


def both(name, action, protocol=2, test=same):
    """Runs the same action on a connection to each and compares what it returns."""
    answers = []
    for port in (REDIS, HENGE):
        connection = Raw(port, protocol)
        try:
            answers.append(action(connection))
        except Exception as e:
            answers.append(f"{type(e).__name__}: {e}")
        finally:
            connection.close()
    # An action that broke off is a difference, whatever the test would make of its message.
    good = answers[0] == answers[1] if any(isinstance(a, str) for a in answers) else test(*answers)
    if not good and isinstance(answers[0], list) and isinstance(answers[1], list):
        # Of long sessions only what differs first.
        answers = next(([f"[{i}] {short(a)}", short(b)] for i, (a, b) in enumerate(zip(*answers)) if a != b), answers)
    report(good, name, f"Redis {short(answers[0])}, Henge {short(answers[1])}")


def pipeline(commands):
    def run(c):
        c.socket.sendall(b"".join(b"*%d\r\n" % len(k) + b"".join(b"$%d\r\n%s\r\n" % (len(a), a) for a in k) for k in commands))
        return [c.read() for _ in commands]
    return run


def enc(*arguments):
    return [a if isinstance(a, bytes) else str(a).encode() for a in arguments]


def pipelines():
    both("pipeline: 5,000 SETs and GETs in turn on 50 keys", pipeline(
        [k for i in range(2500) for k in (enc("SET", f"pl:{i % 50}", i), enc("GET", f"pl:{(i * 7) % 50}"))]))
    both("pipeline: INCR of one key 1,000 times, in order", pipeline([enc("INCR", "pl:n")] * 1000))
    both("pipeline: errors stay at their place", pipeline([enc("SET", "pl:t", "x"), enc("INCR", "pl:t"), enc("GET"), enc("NOSUCH"), enc("GET", "pl:t")]))
    both("pipeline: MULTI, EXEC and what follows", pipeline(
        [enc("MULTI"), enc("INCR", "{pl}c"), enc("INCR", "{pl}c"), enc("EXEC"), enc("INCR", "{pl}c"), enc("PING")]))
    both("pipeline: DEL between SET and GET", pipeline([enc("SET", "pl:d", "1"), enc("DEL", "pl:d"), enc("GET", "pl:d"), enc("SET", "pl:d", "2"), enc("GET", "pl:d")]))
    both("pipeline: MSET over shards, then MGET", pipeline(
        [enc("MSET", *[x for i in range(200) for x in (f"pl:m{i}", i)]), enc("MGET", *[f"pl:m{i}" for i in range(200)])]))
    both("pipeline: 20 values of 100 kB", pipeline(
        [k for i in range(20) for k in (enc("SET", f"pl:b{i}", bytes([i]) * 100_000), enc("GET", f"pl:b{i}"))]))

    def bytewise(c):
        for b in b"*3\r\n$3\r\nSET\r\n$6\r\npl:one\r\n$5\r\nhello\r\n*2\r\n$3\r\nGET\r\n$6\r\npl:one\r\n":
            c.socket.sendall(bytes([b]))
        return [c.read(), c.read()]
    both("a command that arrives byte by byte", bytewise)


def values():
    every = bytes(range(256))
    both("binary: a value of every byte", pipeline([enc("SET", "bin:v", every * 4), enc("GET", "bin:v"), enc("STRLEN", "bin:v")]))
    both("binary: a key of every byte", pipeline([enc("SET", every, "v"), enc("GET", every), enc("EXISTS", every), enc("DEL", every)]))
    both("binary: key and value with line ends", pipeline([enc("SET", "bin:\r\n$3", "\r\n+OK\r\n"), enc("GET", "bin:\r\n$3")]))
    big = b"0123456789abcdef" * 65536
    both("a value of 1 MiB", pipeline([enc("SET", "big:1m", big), enc("STRLEN", "big:1m"), enc("GET", "big:1m"), enc("DEL", "big:1m")]))
    both("a value of 4 MiB", pipeline([enc("SET", "big:4m", big * 4), enc("STRLEN", "big:4m"), enc("GET", "big:4m"), enc("DEL", "big:4m")]))
    both("APPEND grows a value to 1 MB", pipeline([enc("APPEND", "big:ap", b"x" * 100_000)] * 10 + [enc("STRLEN", "big:ap"), enc("DEL", "big:ap")]))
    both("MGET of 8 values of 512 kB", pipeline([enc("SET", f"big:g{i}", big[:524288]) for i in range(8)] + [enc("MGET", *[f"big:g{i}" for i in range(8)])]))
    c = Raw(HENGE)
    reply = c.call("SET", "big:5m", big * 4 + b"x")
    report(reply[0] == "-" and b"limit" in reply[1], "a value over 4 MiB is refused (known difference)", short(reply))
    reply = c.call("PING")
    report(reply == ("+", b"PONG"), "and its connection goes on", short(reply))
    reply = c.call("SET", b"k" * 16385, "v")
    report(reply[0] == "-" and b"limit" in reply[1], "a key over 16 KiB is refused (known difference)", short(reply))
    c.close()
    c = Raw(HENGE)
    try:
        c.send("APPEND", "big:ap2", big * 4)
        c.read()
        reply = c.call("APPEND", "big:ap2", "x")
        report(reply == ("-", b"ERR string exceeds maximum allowed size (proto-max-bulk-len)"), "APPEND over the limit is refused in Redis's words", short(reply))
        report(c.call("STRLEN", "big:ap2") == (":", b"4194304"), "and left the value as it was")
        c.call("DEL", "big:ap2")
    finally:
        c.close()


def protocol_errors():
    def raw(data):
        def run(c):
            c.socket.sendall(data)
            c.socket.shutdown(socket.SHUT_WR)
            return c.rest()
        return run
    for name, data in [
        ("a length that is no number", b"*abc\r\n"),
        ("too many arguments", b"*3000000000\r\n"),
        ("a bulk length that is no number", b"*1\r\n$abc\r\n"),
        ("a negative bulk length", b"*1\r\n$-1\r\nx\r\n"),
        ("a bulk length without end", b"*2\r\n$3\r\nGET\r\n$99999999999999\r\n"),
        ("no bulk string where one must be", b"*2\r\n$3\r\nGET\r\nfoo\r\n"),
        ("an integer where a bulk string must be", b"*1\r\n:5\r\n"),
        ("an empty array, then a PING", b"*0\r\n*1\r\n$4\r\nPING\r\n"),
        ("a negative array, then a PING", b"*-1\r\n*1\r\n$4\r\nPING\r\n"),
        ("blank lines, then a PING", b"\r\n\r\nPING\r\n"),
        ("an inline command", b"PING\r\n"),
        ("inline commands with LF alone", b"SET inline:a 1\nGET inline:a\n"),
        ("an inline command with quotes", b"SET inline:q \"a b\\x41\\n\"\r\nGET inline:q\r\n"),
        ("an inline command with single quotes", b"SET inline:q 'it\\'s'\r\nGET inline:q\r\n"),
        ("an inline command with open quotes", b"SET inline:q \"abc\r\n"),
        ("an inline command with text after quotes", b"SET inline:q \"abc\"d\r\n"),
        ("an inline command that is unknown", b"FOO bar\r\n"),
        ("an error after good commands", b"*1\r\n$4\r\nPING\r\n*1\r\n$x\r\n"),
        ("QUIT ends after its reply", b"*1\r\n$4\r\nQUIT\r\n*1\r\n$4\r\nPING\r\n"),
        ("half a command, then the end", b"*2\r\n$3\r\nGET\r\n$3\r\nab"),
        ("an empty command name", b"*1\r\n$0\r\n\r\n"),
        ("a command name of binary bytes", b"*1\r\n$3\r\n\x01\x02x\r\n"),
        ("line ends in an unknown command", b"*2\r\n$5\r\na\r\nbc\r\n$4\r\nx\r\ny\r\n"),
    ]:
        both(f"protocol: {name}", raw(data))
    c = Raw(HENGE)
    got = raw(b"PING " + b"x" * 200_000)(c)
    report(got == b"-ERR Protocol error: too big inline request\r\n", "protocol: an inline request without end is refused in Redis's words", short(got))
    c.close()
    c = Raw(HENGE)
    c.socket.sendall(b"*2\r\n$3\r\nGET\r\n$400000000\r\n")
    got = c.rest()
    report(got.startswith(b"-ERR Protocol error: invalid bulk length"), "protocol: a value far over the limit is refused at its header (known difference)", short(got))
    c.close()


def scans():
    def walk(*options):
        def run(c):
            keys, cursor, rounds = [], b"0", 0
            while True:
                reply = c.call("SCAN", cursor, *options)
                if reply[0] != "*":
                    return reply
                cursor = reply[1][0][1]
                keys += [k[1] for k in reply[1][1][1]]
                rounds += 1
                if cursor == b"0" or rounds > 10_000:
                    return sorted(set(keys))
        return run
    both("SCAN: keys to scan", pipeline([enc("SET", f"sc:{i:04}", i) for i in range(1000)] + [enc("SET", f"sc{{t{i}}}", i) for i in range(50)]))
    both("SCAN to its end", walk())
    both("SCAN with COUNT 100", walk("COUNT", 100))
    both("SCAN with COUNT 7", walk("COUNT", 7, "MATCH", "sc:*"))
    both("SCAN with COUNT 100000", walk("COUNT", 100_000))
    both("SCAN with MATCH and a class", walk("MATCH", "sc:00[0-4]?"))
    both("SCAN with MATCH of a middle", walk("MATCH", "*:0*9", "COUNT", 50))
    both("SCAN with MATCH and escaped signs", walk("MATCH", "sc\\{t1*"))
    both("SCAN with MATCH of nothing", walk("MATCH", "no such*"))
    both("SCAN with TYPE string", walk("TYPE", "string", "MATCH", "sc:*"))
    both("SCAN with TYPE list", walk("TYPE", "list"))
    both("KEYS with escapes and classes", lambda c: sorted(k[1] for k in c.call("KEYS", "sc[:;]0[^1-8]0?")[1]))
    both("DBSIZE", lambda c: c.call("DBSIZE"))
    both("RANDOMKEY gives a key that is there", lambda c: c.call("EXISTS", c.call("RANDOMKEY")[1]))


def watch_races():
    def race(change):
        def run(c):
            port = c.socket.getpeername()[1]
            other = Raw(port)
            out = [c.call("SET", "{race}a", 1), c.call("DEL", "{race}b"), c.call("SET", "{race}t", 1, "PX", 150), c.call("WATCH", "{race}a", "{race}b", "{race}t")]
            change(other)
            out += [c.call("MULTI"), c.call("SET", "{race}done", "yes"), c.call("EXEC"), c.call("GET", "{race}a")]
            other.close()
            return out
        return run
    both("WATCH: nothing changed", race(lambda o: o.call("SET", "other", 1)))
    both("WATCH: another wrote", race(lambda o: o.call("SET", "{race}a", 2)))
    both("WATCH: another wrote the same value", race(lambda o: o.call("SET", "{race}a", 1)))
    both("WATCH: another made the key and deleted it again", race(lambda o: [o.call("SET", "{race}b", 1), o.call("DEL", "{race}b")]))
    both("WATCH: another made the key", race(lambda o: o.call("SET", "{race}b", 1)))
    both("WATCH: another deleted", race(lambda o: o.call("DEL", "{race}a")))
    both("WATCH: another only set a time to live", race(lambda o: o.call("EXPIRE", "{race}a", 100)))
    both("WATCH: another only read", race(lambda o: o.call("GET", "{race}a")))
    both("WATCH: deleting what is not there is no change", race(lambda o: o.call("DEL", "{race}b")))
    both("WATCH: a failed condition is no change", race(lambda o: o.call("SET", "{race}a", 5, "NX")))

    def expired(c):
        out = [c.call("SET", "{race}t", 1, "PX", 60), c.call("WATCH", "{race}t")]
        while c.call("EXISTS", "{race}t")[1] == b"1":
            time.sleep(0.02)
        return out + [c.call("MULTI"), c.call("SET", "{race}done", "yes"), c.call("EXEC")]
    both("WATCH: the key expired", expired)


def expiry():
    def gone(c):
        out = [c.call("SET", "ex:a", 1, "PX", 80), c.call("GET", "ex:a"), c.call("INCR", "ex:a")]
        deadline = time.time() + 5
        while c.call("GET", "ex:a")[1] is not None and time.time() < deadline:
            time.sleep(0.01)
        return out + [c.call("EXISTS", "ex:a"), c.call("TTL", "ex:a"), c.call("PTTL", "ex:a"), c.call("TYPE", "ex:a"), c.call("STRLEN", "ex:a"), c.call("PERSIST", "ex:a"),
                      c.call("EXPIRE", "ex:a", 5), c.call("SET", "ex:a", 2, "XX"), c.call("DEL", "ex:a"), c.call("SETNX", "ex:a", 3), c.call("TTL", "ex:a")]
    both("an expired key is gone for every command", gone)

    def grown(c):
        c.call("SET", "ex:b", "5", "PX", 60)
        while c.call("EXISTS", "ex:b")[1] == b"1":
            time.sleep(0.01)
        return [c.call("INCR", "ex:b"), c.call("APPEND", "ex:b", "x"), c.call("TTL", "ex:b"), c.call("GETSET", "ex:b", "n")]
    both("INCR and APPEND begin anew after expiry", grown)


def notifications():
    def run(protocol):
        def one(c):
            port = c.socket.getpeername()[1]
            out = [c.call("PSUBSCRIBE", "__keyspace@0__:note:*"), c.call("SUBSCRIBE", "__keyspace@0__:single")]
            if protocol == 2:
                out += [c.call("GET", "x"), c.call("PING"), c.call("PING", "hi")]
            else:
                out += [c.call("GET", "no such"), c.call("PING")]
            other = Raw(port)
            events = []
            for command in (("SET", "note:a", 1), ("SET", "single", 1), ("SET", "elsewhere", 1), ("SET", "note:b", 2), ("DEL", "note:a"), ("DEL", "note:none"), ("DEL", "single")):
                other.call(*command)
            for _ in range(5):
                events.append(c.read())
            other.call("SET", "note:c", 1, "PX", 50)
            while len(events) < 8:
                e = c.read()
                events.append(e)
                if e[0] == "closed" or e[1][-1][1] == b"expired":
                    break
                other.call("GET", "note:c")
                time.sleep(0.02)
            # Redis tells of the time to live that a SET has by an event of its own; Henge does not.
            # Events of one channel come in their order; those of different ones are of different watches here.
            out.append(sorted((e for e in events if e[0] == "closed" or e[1][-1][1] != b"expire"), key=lambda e: repr(e[1][:-1]) if len(e) > 1 else ""))
            other.close()
            out += [c.call("PUNSUBSCRIBE", "__keyspace@0__:note:*"), c.call("UNSUBSCRIBE"), c.call("UNSUBSCRIBE"), c.call("GET", "no such")]
            return out
        return one
    both("keyspace events in RESP2", run(2), 2)
    both("keyspace events in RESP3", run(3), 3)
    both("a subscriber in RESP2 may do little else", pipeline([enc("PSUBSCRIBE", "__keyspace@0__:q:*"), enc("SET", "x", "1"), enc("MULTI"), enc("PUNSUBSCRIBE"), enc("PING")]),
         test=lambda a, b: [(r[0], r[1] if r[0] != "-" else r[1].split(b":")[0]) for r in a] == [(r[0], r[1] if r[0] != "-" else r[1].split(b":")[0]) for r in b])


def publishing():
    """Clients that publish to each other: the same on a real Redis and, publisher and subscriber on one node, on Henge."""
    def session(protocol):
        def one(c):
            port = c.socket.getpeername()[1]
            other = Raw(port, protocol)
            out = [c.call("SUBSCRIBE", "ch:a", b"ch:\xff\x00"), c.read(), c.call("PSUBSCRIBE", "ch:?", "ch:*"), c.read(), c.call("SUBSCRIBE", "ch:a")]
            out += [other.call("PUBLISH", "ch:a", "1"), other.call("PUBLISH", b"ch:\xff\x00", b"\x00\r\n"), other.call("PUBLISH", "elsewhere", "2"), other.call("PUBLISH", "", "3")]
            # Redis looks at patterns in an order of its own.
            out += [sorted(map(repr, [c.read() for _ in range(3)])), sorted(map(repr, [c.read() for _ in range(2)]))]
            out += [other.call("PUBSUB", "NUMPAT"), other.call("PUBSUB", "NUMSUB", "ch:a", "none"), other.call("PUBSUB", "NUMSUB"), other.call("PUBSUB", "CHANNELS", "ch:?"), other.call("PUBSUB", "CHANNELS", "no*"),
                    sorted(map(repr, other.call("PUBSUB", "CHANNELS")[1])), other.call("pubsub", "numpat", "x"), other.call("PUBSUB", "CHANNELS", "a", "b"), other.call("PUBSUB")]
            out += [c.call("PING"), c.call("UNSUBSCRIBE", "ch:a", "none"), c.read(), c.call("PUNSUBSCRIBE", "ch:*"), other.call("PUBLISH", "ch:a", "4"), c.read()]
            out += [c.call("PUNSUBSCRIBE"), c.call("UNSUBSCRIBE"), c.call("UNSUBSCRIBE"), c.call("PUNSUBSCRIBE"), c.call("GET", "no such"), other.call("PUBSUB", "CHANNELS"), other.call("PUBSUB", "NUMPAT")]
            other.close()
            return out
        return one

    def shards(c):
        other = Raw(c.socket.getpeername()[1])
        out = [c.call("SUBSCRIBE", "ch:s"), c.call("SSUBSCRIBE", "ch:s", "ch:t"), c.read(), other.call("SPUBLISH", "ch:s", "1"), c.read(), other.call("PUBLISH", "ch:s", "2"), c.read(), other.call("PUBLISH", "ch:t", "3")]
        out += [other.call("PUBSUB", "SHARDNUMSUB", "ch:s", "ch:none"), other.call("PUBSUB", "SHARDCHANNELS", "*s"), other.call("PUBSUB", "CHANNELS")]
        out += [c.call("SUNSUBSCRIBE", "ch:s"), c.call("SUNSUBSCRIBE"), c.call("SUNSUBSCRIBE"), c.call("UNSUBSCRIBE"), other.call("SPUBLISH", "ch:s", "4")]
        other.close()
        return out

    def transaction(protocol):
        def one(c):
            other = Raw(c.socket.getpeername()[1], protocol)
            out = [c.call("SUBSCRIBE", "ch:m")]
            out += [other.call(*x) for x in (("MULTI",), ("PUBLISH", "ch:m", "no"), ("DISCARD",), ("MULTI",), ("PUBLISH", "ch:m", "1"), ("SET", "ch:k", "v"), ("PUBLISH", "ch:m", "2"), ("PUBSUB", "NUMPAT"), ("EXEC",))]
            out += [c.read(), c.read()]
            out += [other.call("WATCH", "ch:k"), other.call("SET", "ch:k", "w"), other.call("MULTI"), other.call("PUBLISH", "ch:m", "no"), other.call("GET", "ch:k"), other.call("EXEC"), other.call("PUBLISH", "ch:m", "3"), c.read()]
            out += [c.call("RESET"), other.call("PUBLISH", "ch:m", "no")]
            other.close()
            return out
        return one

    def end(c):
        subscriber = Raw(c.socket.getpeername()[1])
        out = [subscriber.call("SUBSCRIBE", "ch:end"), c.call("PUBLISH", "ch:end", "1")]
        subscriber.close()
        deadline = time.time() + 5
        while c.call("PUBSUB", "NUMSUB", "ch:end")[1][1] != (":", b"0") and time.time() < deadline:
            time.sleep(0.01)
        return out + [c.call("PUBLISH", "ch:end", "2")]

    for protocol in (2, 3):
        both(f"PUBLISH, SUBSCRIBE, PSUBSCRIBE and PUBSUB in RESP{protocol}", session(protocol), protocol)
        both(f"SPUBLISH and SSUBSCRIBE in RESP{protocol}", shards, protocol)
        both(f"PUBLISH inside MULTI in RESP{protocol}", transaction(protocol), protocol)
        both(f"who is gone is no receiver, in RESP{protocol}", end, protocol)
        both(f"wrong numbers of arguments, in RESP{protocol}", lambda c: [c.call("PUBLISH", "a"), c.call("PUBLISH"), c.call("SPUBLISH", "a", "b", "c"), c.call("SUBSCRIBE"), c.call("PSUBSCRIBE"), c.call("SSUBSCRIBE")], protocol)
    both("what a RESP2 subscriber may not do", pipeline([enc("SSUBSCRIBE", "ch:q"), enc("PUBLISH", "ch:q", "1"), enc("SPUBLISH", "ch:q", "1"), enc("PING"), enc("SUNSUBSCRIBE"), enc("PING")]),
         test=lambda a, b: [(r[0], r[1] if r[0] != "-" else r[1].split(b":")[0]) for r in a] == [(r[0], r[1] if r[0] != "-" else r[1].split(b":")[0]) for r in b])

    def own(c):
        out = [c.call("SUBSCRIBE", "ch:own"), c.call("PUBLISH", "ch:own", "1"), c.read()]
        return sorted(map(repr, out))
    both("what a RESP3 connection publishes to itself comes to it (before the reply in Redis 7.0, behind it here)", own, 3)

    subscribers = [Raw(p) for p in NODES]
    for s in subscribers:
        s.call("PSUBSCRIBE", "ch:n*")
    publisher = Raw(HENGE)
    replies = [publisher.call("PUBLISH", f"ch:n{i}", f"{i}") for i in range(200)]
    report(replies == [(":", b"1")] * 200, "PUBLISH counts the receivers of its own node", short(replies[:3]))
    for number, s in enumerate(subscribers):
        got = [s.read() for _ in range(200)]
        report(got == [("*", [("$", b"pmessage"), ("$", b"ch:n*"), ("$", b"ch:n%d" % i), ("$", b"%d" % i)]) for i in range(200)], f"a subscriber of node {number + 1} gets all of them in order", short(got[:2]))
        s.close()
    publisher.close()
    c = Raw(HENGE)
    report([c.call("SUBSCRIBE", *[f"ch:{i}" for i in range(1025)])[0]] == ["-"], "more than 1,024 subscriptions are refused (known difference)")
    report(c.call("PUBLISH", b"n" * 16385, "x")[0] == "-" and c.call("PUBLISH", "ch:big", b"x" * (4 * 1024 * 1024 + 1))[0] == "-", "names over 16 KiB and messages over 4 MiB are refused (known difference)")
    c.close()


def hello_auth():
    both("HELLO 3 AUTH default with a password", lambda c: [c.call("HELLO", "3", "AUTH", "default", "x")[0], c.call("GET", "no such")])
    both("blanks before the first inline command", lambda c: [c.socket.sendall(b"  PING\r\n"), c.read()])
    both("DEL of 100,000 keys", lambda c: [c.call("SET", "many:7", "v"), c.call("DEL", *[f"many:{i}" for i in range(100_000)]), c.call("GET", "many:7")])


def databases():
    import redis
    try:
        redis.Redis(port=HENGE, db=1, socket_timeout=15).set("db:1", "x")
        report(False, "python3-redis: db=1 is refused", "it was accepted")
    except redis.RedisError as e:
        report("DB index is out of range" in str(e), "python3-redis: db=1 is refused", str(e))
    c = Raw(HENGE)
    report(c.call("GET", "db:1") == ("$", None), "nothing was written into database 0 for database 1")
    pipelined = pipeline([enc("SELECT", 1), enc("SET", "db:1", "x"), enc("SELECT", 0), enc("GET", "db:1")])(c)
    report(pipelined[1][0] == "-" and pipelined[3] == ("$", None), "nor by a pipeline behind the SELECT", short(pipelined))
    c.close()


def handshake():
    def shape(reply):
        return (reply[0], sorted(k[1] for k, _ in reply[1])) if reply[0] == "%" else (reply[0], sorted(reply[1][i][1] for i in range(0, len(reply[1]), 2)))
    both("HELLO 3 gives a map with Redis's fields", lambda c: shape(c.call("HELLO", "3")))
    both("HELLO 2 gives an array with Redis's fields", lambda c: shape(c.call("HELLO", "2")))
    both("HELLO alone keeps the protocol", lambda c: shape(c.call("HELLO")), 3)
    both("HELLO 3 SETNAME", lambda c: [shape(c.call("HELLO", "3", "SETNAME", "me")), c.call("CLIENT", "GETNAME")])
    both("back to RESP2", lambda c: [shape(c.call("HELLO", "2")), c.call("GET", "none")], 3)
    both("CLIENT GETNAME without a name", lambda c: c.call("CLIENT", "GETNAME"))
    both("COMMAND INFO get", lambda c: [x[1] for x in c.call("COMMAND", "INFO", "get")[1][0][1][:2]])
    both("COMMAND INFO of nothing", lambda c: c.call("COMMAND", "INFO", "nosuch"))
    both("COMMAND INFO: keys of mset, del, set", lambda c: [[y[1] for y in x[1][3:6]] for x in c.call("COMMAND", "INFO", "mset", "del", "set", "ping")[1]])
    both("TIME is now", lambda c: abs(int(c.call("TIME")[1][0][1]) - time.time()) < 5)


def descriptions():
    """COMMAND: its form is Redis's; what is said of each command is held against what Redis says of it."""
    def simple(reply):
        kind, value = reply
        if kind == "%":
            return {simple(k): simple(v) for k, v in value}
        return [simple(v) for v in value] if kind in "*~" and value is not None else value

    def docs(reply):
        # History, and options that only one of the two has, are left out; arguments by name, type, token and flags.
        def argument(a):
            return (a[b"name"], a[b"type"], a.get(b"token"), sorted(a.get(b"flags", [])), [argument(x) for x in a.get(b"arguments", [])])
        return {name: (d[b"since"], d[b"group"], [argument(a) for a in d.get(b"arguments", [])]) for name, d in simple(reply).items()}

    redis, henge = Raw(REDIS, 3), Raw(HENGE, 3)
    redis.call("HELLO", 3), henge.call("HELLO", 3)
    ours = simple(henge.call("COMMAND", "LIST"))
    theirs = set(simple(redis.call("COMMAND", "LIST")))
    common = sorted(n for n in ours if n in theirs)
    report(sorted(set(ours) - theirs) == [b"delex", b"digest"], "only commands of Redis 8.4 are not in Redis 7.0", short(sorted(set(ours) - theirs)))
    a, b = docs(redis.call("COMMAND", "DOCS", *common)), docs(henge.call("COMMAND", "DOCS", *common))
    report(sorted(b) == common, "COMMAND DOCS describes every command", short(sorted(set(common) - set(b))))
    for name in common:
        report(a[name][:2] == b[name][:2], f"COMMAND DOCS {name.decode()}: since and group", f"{a[name][:2]} {b[name][:2]}")
    plain = [n for n in common if n not in (b"acl", b"auth", b"client", b"cluster", b"command", b"config", b"latency", b"memory", b"object", b"pubsub", b"script", b"slowlog", b"bitcount", b"set", b"psubscribe")]
    for name in plain:
        report(a[name][2] == b[name][2], f"COMMAND DOCS {name.decode()}: arguments", f"{a[name][2]} {b[name][2]}")
    report(len(simple(henge.call("COMMAND", "DOCS"))) == len(ours), "COMMAND DOCS alone describes all")

    def info(reply):
        known = (b"write", b"readonly", b"fast", b"pubsub", b"movablekeys")
        return {i[0]: (i[1], [f for f in known if f in i[2]], i[3:6], [(k[b"begin_search"], k[b"find_keys"]) for k in i[8]]) for i in simple(reply)}
    a, b = info(redis.call("COMMAND", "INFO", *common)), info(henge.call("COMMAND", "INFO", *common))
    # Commands with subcommands are described as a whole here; shard channels are keys to Redis, and names here.
    for name in (n for n in common if n not in (b"memory", b"object", b"pubsub", b"spublish", b"ssubscribe", b"sunsubscribe")):
        report(a[name] == b[name], f"COMMAND INFO {name.decode()}", f"{a[name]} {b[name]}")
    redis.close()
    henge.close()
    for protocol in (2, 3):
        both(f"COMMAND DOCS of nothing and of hset in RESP{protocol}",
             lambda c: [c.call("COMMAND", "DOCS", "nosuch"), [x for x in c.call("COMMAND", "DOCS", "HSET")[1]][0][0] if protocol == 3 else c.call("COMMAND", "DOCS", "HSET")[1][0]], protocol)
        both(f"COMMAND INFO of what is not there, and arguments that are wrong, in RESP{protocol}",
             lambda c: [c.call("COMMAND", "INFO", "nosuch"), c.call("COMMAND", "LIST", "FILTERBY", "MODULE", "x"), sorted(c.call("COMMAND", "LIST", "FILTERBY", "PATTERN", "hset*")[1]), c.call("COMMAND", "LIST", "FILTERBY", "NO", "x")], protocol)


def cursors():
    """A walk that changes the node with each page, while other scans go on; and with a pattern that changes."""
    nodes = [Raw(p) for p in NODES]
    for i in range(2000):
        nodes[0].send("SET", f"cur:{i * 7919}", i)
    for _ in range(2000):
        nodes[0].read()
    found, cursor, page = [], b"0", 0
    while True:
        reply = nodes[page % len(nodes)].call("SCAN", cursor, "COUNT", 9, "MATCH", "cur:*" if page % 2 else "*")
        found += [k[1] for k in reply[1][1][1] if k[1].startswith(b"cur:")]
        cursor, page = reply[1][0][1], page + 1
        if cursor == b"0" or page > 10_000:
            break
        if int(cursor) >= 1 << 53:
            report(False, "cursors fit into 53 bits", cursor.decode())
    report(sorted(found) == sorted(f"cur:{i * 7919}".encode() for i in range(2000)), "SCAN from node to node gives every key once", f"{len(found)} keys in {page} pages")
    report(nodes[0].call("SCAN", 3) == ("-", b"ERR invalid cursor"), "a number that is no cursor is refused")
    nodes[0].call("DEL", *[f"cur:{i * 7919}" for i in range(2000)])
    for n in nodes:
        n.close()


def random_fields():
    c = Raw(HENGE)
    c.call("HSET", "rf:big", "f", b"x" * 1_000_000)
    reply = c.call("HRANDFIELD", "rf:big", -1_000_000, "WITHVALUES")
    report(reply[0] == "-" and b"bytes" in reply[1], "HRANDFIELD with a reply of a terabyte is refused (known difference)", short(reply))
    report(c.call("HRANDFIELD", "rf:big", -1_000_001)[0] == "-", "HRANDFIELD with more than a million fields is refused (known difference)")
    report(len(c.call("HRANDFIELD", "rf:big", -1_000)[1]) == 1_000, "HRANDFIELD with a thousand is not")
    c.call("DEL", "rf:big")
    c.close()


def two_shards():
    """RENAME, RENAMENX and COPY from one key to 64 others, some of which lie on other shards: decision 0150."""
    c = Raw(HENGE)
    for command in (("COPY",), ("RENAMENX",), ("RENAME",)):
        c.call("DEL", *[f"two:{i}" for i in range(64)])
        refused = good = 0
        for i in range(64):
            c.call("SET", "two", "v")
            reply = c.call(*command, "two", f"two:{i}")
            refused += reply == ("-", b"CROSSSLOT Keys in request don't hash to the same slot")
            good += reply in ((":", b"1"), ("+", b"OK"))
        copies = c.call("EXISTS", *[f"two:{i}" for i in range(64)])
        report(refused > 0 and refused + good == 64 and copies == (":", b"%d" % good), " ".join(command) + " between shards is refused and changes nothing (known difference)",
               f"{refused} refused, {good} done, {short(copies)} are there")
    c.close()


def flush():
    """Last, since it empties both."""
    for command in (("FLUSHDB",), ("FLUSHALL", "ASYNC"), ("FLUSHDB", "SYNC"), ("flushall", "sync")):
        both(" ".join(command) + " leaves nothing", lambda c: [c.call("SET", "fl:a", 1), c.call("HSET", "fl:h", "a", 1), c.call(*command), c.call("DBSIZE"),
                                                               c.call("EXISTS", "fl:a", "fl:h"), c.call("KEYS", "*"), c.call("RANDOMKEY")])


def any_node():
    for i, port in enumerate(NODES):
        writer, reader = Raw(port), Raw(NODES[(i + 1) % len(NODES)])
        good = True
        for k in range(50):
            good &= writer.call("SET", f"node:{k}", f"{i}-{k}") == ("+", b"OK")
            good &= reader.call("GET", f"node:{k}") == ("$", f"{i}-{k}".encode())
        good &= writer.call("INCR", "node:counter") == (":", str(i + 1).encode())
        report(good, f"what node {i + 1} acknowledged, the next node reads")
        writer.close()
        reader.close()


def python_redis():
    """What python3-redis does itself around replies: those are compared byte by byte above, and commands one by one by StackExchange.Redis
    (tests/Henge.Redis.Tests)."""
    import redis
    clients = [redis.Redis(port=p, decode_responses=False, socket_timeout=15) for p in (REDIS, HENGE)]

    def each(name, action, test=lambda a, b: a == b):
        answers = []
        for client in clients:
            try:
                answers.append(action(client))
            except redis.RedisError as e:
                answers.append(f"{type(e).__name__}: {e}")
        report(test(*answers), "python3-redis: " + name, f"Redis {short(answers[0])}, Henge {short(answers[1])}")

    each("ping", lambda r: r.ping())
    each("set and get", lambda r: [r.set("py:a", "1"), r.get("py:a"), r.set("py:a", "2", nx=True), r.set("py:a", "2", xx=True, ex=100), r.ttl("py:a")])
    each("an error of INCR", lambda r: [r.set("py:t", "text"), r.incr("py:t")])
    each("scan_iter", lambda r: [r.mset({f"py:s{i}": i for i in range(100)}), sorted(r.scan_iter("py:s*", count=9))])
    each("pipeline without a transaction", lambda r: r.pipeline(transaction=False).set("py:p", 1).incr("py:p").get("py:p").get("py:none").execute())
    each("pipeline in a transaction", lambda r: r.pipeline().set("{py}p", 1).incr("{py}p").get("{py}p").expire("{py}p", 100).ttl("{py}p").execute())
    each("an error inside a transaction", lambda r: r.pipeline().set("{py}t", "x").incr("{py}t").set("{py}u", 1).execute(raise_on_error=False), test=lambda a, b: repr(a) == repr(b))
    each("what came beside the error took effect", lambda r: r.mget("{py}t", "{py}u"))

    def transact(r):
        def body(pipe):
            n = int(pipe.get("{py}n") or 0)
            pipe.multi()
            pipe.set("{py}n", n + 1)
        return [r.transaction(body, "{py}n") for _ in range(3)] + [r.get("{py}n")]
    each("transaction(): watch, multi, exec", transact)

    def conflict(r):
        with r.pipeline() as pipe:
            pipe.watch("{py}n")
            r.set("{py}n", 100)
            pipe.multi()
            pipe.set("{py}n", 1)
            return pipe.execute()
    each("a watched key that changed raises WatchError", conflict)

    def subscribe(r):
        pubsub, got = r.pubsub(), []
        pubsub.psubscribe("__keyspace@0__:pys:*")
        deadline = time.time() + 5
        while len(got) < 3 and time.time() < deadline:
            m = pubsub.get_message(timeout=1)
            if m:
                got.append((m["type"], m["pattern"], m["channel"], m["data"]))
                if len(got) == 1:
                    r.set("pys:a", 1)
                    r.delete("pys:a")
        pubsub.close()
        return got
    each("pubsub on keyspace events", subscribe)

    def publish(r):
        pubsub, got = r.pubsub(ignore_subscribe_messages=True), []
        pubsub.subscribe("py:ch")
        deadline = time.time() + 5
        while len(got) < 2 and time.time() < deadline:
            m = pubsub.get_message(timeout=0.1)
            if m:
                got.append((m["type"], m["channel"], m["data"]))
            else:
                got.append(r.publish("py:ch", "hello")) if not got else None
        pubsub.close()
        return got
    each("publish and subscribe", publish)
    each("command()", lambda r: {k: (v["arity"], v["first_key_pos"], v["last_key_pos"], v["step_count"]) for k, v in r.command().items() if k in ("get", "mset", "del", "publish", "scan")})
    each("binary", lambda r: [r.set(bytes(range(256)), bytes(range(256))), r.get(bytes(range(256))), r.delete(bytes(range(256)))])
    each("info is a dictionary", lambda r: r.info()["redis_mode"])
    each("client_setname", lambda r: [r.client_setname("x"), r.client_getname(), isinstance(r.client_id(), int)])
    each("an unknown command", lambda r: r.execute_command("NOSUCH", "a"))


handshake()
hello_auth()
databases()
for name, cases in (("", CASES), ("hashes:", from_file("resp-hashes.txt")), ("keys:", from_file("resp-keys.txt"))):
    compare_cases(cases, 2, HENGE, name + "resp2")
    compare_cases(cases, 3, HENGE, name + "resp3")
pipelines()
values()
scans()
watch_races()
expiry()
notifications()
publishing()
descriptions()
protocol_errors()
python_redis()
cursors()
any_node()
random_fields()
two_shards()
flush()
