using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Server.Audit;
using Henge.Server.Events;
using Henge.Server.Tls;

namespace Henge.Server.Hosting;

/// <content>How much of everything the node, its port and its protocols take.</content>
public static partial class ServerSettings
{
    private static IEnumerable<Setting> OfNodeLimits() =>
        [
            Limit("limit-key-bytes", "SIZE", "Longest key.", Size(Limits.KeyBytes), (o, v) => o with { KeyBytes = Bytes(v, 1, 31 << 10) }),
            Limit(
                "limit-value-bytes",
                "SIZE",
                "Longest value.",
                Size(Limits.ValueBytes),
                (o, v) => o with { ValueBytes = Bytes(v, 1, 128 << 20) }),
            Limit(
                "limit-command-bytes",
                "SIZE",
                "Largest transaction or write, encoded.",
                Size(Limits.CommandBytes),
                (o, v) => o with { CommandBytes = Bytes(v, 4096, 256 << 20) }),
            Limit(
                "limit-txn-operations",
                "N",
                "Most operations of a transaction.",
                $"{Limits.TxnOperations}",
                (o, v) => o with { TxnOperations = SettingValue.Number(v, 1, 65_536) }),
            Limit(
                "limit-scan-page-items",
                "N",
                "Most pairs in a page of a scan.",
                $"{Limits.ScanPageItems}",
                (o, v) => o with { ScanPageItems = SettingValue.Number(v, 1, 1_000_000) }),
            Limit(
                "limit-scan-page-bytes",
                "SIZE",
                "Most bytes in a page of a scan.",
                Size(Limits.ScanPageBytes),
                (o, v) => o with { ScanPageBytes = Bytes(v, 1024, 64 << 20) }),
            Limit(
                "limit-watches",
                "N",
                "Most watches on this node.",
                $"{Limits.Watches}",
                (o, v) => o with { Watches = SettingValue.Number(v, 0, 10_000_000) }),
            Limit(
                "limit-pending-operations",
                "N",
                "Most operations under way on this node.",
                $"{Limits.PendingOperations}",
                (o, v) => o with { PendingOperations = SettingValue.Number(v, 1, Billion) }),
            Limit(
                "limit-pending-bytes",
                "SIZE",
                "Most bytes of commands under way on this node.",
                Size(Limits.PendingBytes),
                (o, v) => o with { PendingBytes = SettingValue.Size(v, 1 << 20, 1L << 40) }),
        ];

    private static IEnumerable<Setting> OfPort() =>
        [
            OfDoor(
                "limit-connections",
                "N",
                "Most connections at a time.",
                $"{Door.Port.Connections}",
                (o, v) => o with { Port = o.Port with { Connections = SettingValue.Number(v, 1, 10_000_000) } }),
            OfDoor(
                "limit-connections-per-address",
                "N",
                "Most connections at a time from one address; 0: no limit.",
                $"{Door.Port.ConnectionsPerAddress}",
                (o, v) => o with { Port = o.Port with { ConnectionsPerAddress = SettingValue.Number(v, 0, 10_000_000) } }),
            OfDoor(
                "limit-input-memory",
                "SIZE",
                "Most bytes that have arrived in part or wait, of all RESP, JSON lines and Thrift connections together, without the first "
                    + "64 KiB of each.",
                Size(Door.Port.InputBytes),
                (o, v) => o with { Port = o.Port with { InputBytes = SettingValue.Size(v, 1 << 20, 1L << 44) } }),
            OfDoor(
                "limit-unauthenticated-connections",
                "N",
                "Most RESP, JSON lines and Thrift connections that have not logged in, while access is checked; over it the oldest is "
                    + "closed.",
                $"{Door.Port.UnauthenticatedConnections}",
                (o, v) => o with { Port = o.Port with { UnauthenticatedConnections = SettingValue.Number(v, 1, 10_000_000) } }),
            OfDoor(
                "login-timeout",
                "DURATION",
                "How long a RESP, JSON lines or Thrift connection may take to log in, while access is checked.",
                Text(Door.Port.LoginTimeout),
                (o, v) => o with { Port = o.Port with { LoginTimeout = Period(v, 0.1, 3600) } }),
            OfDoor(
                "request-timeout",
                "DURATION",
                "How long a RESP, JSON lines or Thrift request that has begun to arrive may take to be there.",
                Text(Door.Port.RequestTimeout),
                (o, v) => o with { Port = o.Port with { RequestTimeout = Period(v, 0.1, 86_400) } }),
            OfDoor(
                "first-bytes-timeout",
                "DURATION",
                "How long a new connection may be silent.",
                Text(Door.Port.FirstBytesTimeout),
                (o, v) => o with { Port = o.Port with { FirstBytesTimeout = Period(v, 0.1, 3600) } }),
            OfDoor(
                "tls-handshake-timeout",
                "DURATION",
                "How long a TLS handshake may take.",
                Text(Door.Port.TlsHandshakeTimeout),
                (o, v) => o with { Port = o.Port with { TlsHandshakeTimeout = Period(v, 0.1, 3600) } }),
        ];

    private static IEnumerable<Setting> OfHttp() =>
        [
            OfDoor(
                "limit-streams",
                "N",
                "Most HTTP/2 streams of one connection.",
                $"{Door.Http.StreamsPerConnection}",
                (o, v) => o with { Http = o.Http with { StreamsPerConnection = SettingValue.Number(v, 1, 1_000_000) } }),
            OfDoor(
                "limit-header-bytes",
                "SIZE",
                "Most bytes of a request's headers.",
                Size(Door.Http.HeaderBytes),
                (o, v) => o with { Http = o.Http with { HeaderBytes = Bytes(v, 1024, 1 << 20) } }),
            OfDoor(
                "limit-headers",
                "N",
                "Most headers of a request.",
                $"{Door.Http.HeaderCount}",
                (o, v) => o with { Http = o.Http with { HeaderCount = SettingValue.Number(v, 16, 10_000) } }),
            OfDoor(
                "stream-window",
                "SIZE",
                "HTTP/2 flow-control window of a stream.",
                Size(Door.Http.StreamWindowBytes),
                (o, v) => o with { Http = o.Http with { StreamWindowBytes = Bytes(v, 65_535, 1 << 30) } }),
            OfDoor(
                "connection-window",
                "SIZE",
                "HTTP/2 flow-control window of a connection.",
                Size(Door.Http.ConnectionWindowBytes),
                (o, v) => o with { Http = o.Http with { ConnectionWindowBytes = Bytes(v, 65_535, 1 << 30) } }),
            OfDoor(
                "idle-timeout",
                "DURATION",
                "How long an HTTP connection without calls stays open.",
                Text(Door.Http.IdleTimeout),
                (o, v) => o with { Http = o.Http with { IdleTimeout = Period(v, 1, 86_400) } }),
            OfDoor(
                "headers-timeout",
                "DURATION",
                "How long a request's headers may take to arrive.",
                Text(Door.Http.HeadersTimeout),
                (o, v) => o with { Http = o.Http with { HeadersTimeout = Period(v, 0.1, 3600) } }),
            OfDoor(
                "keepalive-interval",
                "DURATION",
                "After how long without a sign of life an HTTP/2 connection is pinged.",
                Text(Door.Http.KeepAlivePingDelay),
                (o, v) => o with { Http = o.Http with { KeepAlivePingDelay = Period(v, 1, 86_400) } }),
            OfDoor(
                "keepalive-timeout",
                "DURATION",
                "How long the answer to a ping may take.",
                Text(Door.Http.KeepAlivePingTimeout),
                (o, v) => o with { Http = o.Http with { KeepAlivePingTimeout = Period(v, 1, 86_400) } }),
        ];

    private static IEnumerable<Setting> OfGrpc() =>
        [
            OfDoor(
                "limit-resp-waiting-bytes",
                "SIZE",
                "Most bytes of requests and replies that may wait on one RESP connection; over it the connection ends.",
                Size(Door.Resp.WaitingBytes),
                (o, v) => o with { Resp = o.Resp with { WaitingBytes = SettingValue.Size(v, 1 << 20, 1L << 40) } }),
            OfDoor(
                "limit-resp-waiting-memory",
                "SIZE",
                "Most bytes of requests and replies that may wait on all RESP connections together.",
                Size(Door.Resp.WaitingMemoryBytes),
                (o, v) => o with { Resp = o.Resp with { WaitingMemoryBytes = SettingValue.Size(v, 1 << 20, 1L << 44) } }),
            OfDoor(
                "limit-resp-subscriber-bytes",
                "SIZE",
                "Most bytes of published messages that may wait for one RESP subscriber; over it its connection ends.",
                Size(Door.Resp.SubscriberBytes),
                (o, v) => o with { Resp = o.Resp with { SubscriberBytes = SettingValue.Size(v, 1 << 16, 1L << 40) } }),
            OfDoor(
                "limit-message-bytes",
                "SIZE",
                "Longest gRPC message.",
                Size(Door.Grpc.MessageBytes),
                (o, v) => o with { Grpc = o.Grpc with { MessageBytes = Bytes(v, 1024, 1 << 30) } }),
            OfDoor(
                "limit-message-memory",
                "SIZE",
                "Most memory of large messages on their way, of all callers together.",
                Size(Door.Grpc.MessageMemoryBytes),
                (o, v) => o with { Grpc = o.Grpc with { MessageMemoryBytes = SettingValue.Size(v, 1 << 20, 1L << 44) } }),
            OfDoor(
                "limit-calls",
                "N",
                "Most gRPC calls under way, streams included.",
                $"{Door.Grpc.Calls}",
                (o, v) => o with { Grpc = o.Grpc with { Calls = SettingValue.Number(v, 1, 100_000_000) } }),
            OfDoor(
                "stalled-stream-timeout",
                "DURATION",
                "How long a stream waits for a caller that takes nothing.",
                Text(Door.Grpc.StalledStreamTimeout),
                (o, v) => o with { Grpc = o.Grpc with { StalledStreamTimeout = Period(v, 0.1, 86_400) } }),
            OfDoor(
                "limit-session-operations",
                "N",
                "Most operations under way in one session.",
                $"{Door.Streams.SessionOperations}",
                (o, v) => o with { Streams = o.Streams with { SessionOperations = SettingValue.Number(v, 1, 10_000_000) } }),
            OfDoor(
                "limit-session-bytes",
                "SIZE",
                "Most bytes of requests under way in one session.",
                Size(Door.Streams.SessionBytes),
                (o, v) => o with { Streams = o.Streams with { SessionBytes = Bytes(v, 1024, 1 << 30) } }),
        ];
}
