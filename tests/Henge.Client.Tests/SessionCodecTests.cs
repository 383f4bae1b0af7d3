using Google.Protobuf;
using Henge.Client.Mapping;
using Henge.Client.Retry;
using Henge.Client.Routing;
using Henge.Client.Sessions;
using Henge.Core;
using Henge.Protocol.Messages;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Tests;

/// <summary>What a session sends and reads is what generated code makes of it.</summary>
public sealed class SessionCodecTests
{
    private static readonly HengeClientOptions Client = new();
    private static readonly Router Router = new(Client);

    private static byte[] Random(Random random, int most)
    {
        byte[] bytes = new byte[random.Next(most)];
        random.NextBytes(bytes);
        return bytes;
    }

    private static ulong Number(Random random) => (ulong)random.NextInt64() >> random.Next(64);

    [Fact]
    public void Requests_are_read_by_the_generated_parser_as_they_were_meant()
    {
        Random random = new(1);
        for (int round = 0; round < 2000; round++)
        {
            SessionCall call = new(null!)
            {
                Kind = (SessionCallKind)random.Next(2, 6),
                Key = Random(random, 300),
                Value = Random(random, 300),
                Id = Number(random) | 1,
                TimeoutMs = random.Next(4) == 0 ? 0 : (uint)random.Next(),
                Number = new WriteNumber(new WriteLane(new LaneGroup(), Number(random)), Number(random), random.Next(2) == 0),
            };
            Core.Version? condition = random.Next(2) == 0 ? null : new Core.Version(random.Next(3) == 0 ? 0 : Number(random) >> 11);
            Wire.SessionOperation expected = new() { Id = call.Id, TimeoutMs = call.TimeoutMs };
            switch (call.Kind)
            {
                case SessionCallKind.Get:
                    call.GetOptions = random.Next(2) == 0
                        ? new GetOptions { AtVersion = new(Number(random)), Consistency = (ReadConsistency)random.Next(4) }
                        : new GetOptions { AtTime = DateTimeOffset.FromUnixTimeMilliseconds(random.NextInt64(1, 1L << 45)) };
                    expected.Get = WireMapping.Get(call.Key, call.GetOptions, Client);
                    break;
                case SessionCallKind.Put:
                    call.PutOptions = new PutOptions
                    {
                        IfVersion = condition,
                        KeepTimeToLive = random.Next(2) == 0,
                        ReturnPrevious = random.Next(2) == 0,
                        TimeToLive = random.Next(2) == 0 ? null : TimeSpan.FromMilliseconds(random.Next(1, int.MaxValue)),
                    };
                    expected.Put = WireMapping.Put(call.Key, call.Value, call.PutOptions);
                    expected.Put.ClientId = call.Number.ClientId;
                    expected.Put.Sequence = call.Number.Sequence;
                    expected.Put.SessionFlags = call.Number.Flags;
                    break;
                case SessionCallKind.Delete:
                    call.DeleteOptions = new DeleteOptions { IfVersion = condition, ReturnPrevious = random.Next(2) == 0 };
                    expected.Delete = WireMapping.Delete(call.Key, call.DeleteOptions);
                    expected.Delete.ClientId = call.Number.ClientId;
                    expected.Delete.Sequence = call.Number.Sequence;
                    expected.Delete.SessionFlags = call.Number.Flags;
                    break;
                default:
                    expected.Txn = call.Txn = new Wire.TxnRequest
                    {
                        ClientId = 7,
                        Compare =
                        {
                            new Wire.Compare { Key = WireMapping.Bytes(call.Key), Exists = true },
                        },
                    };
                    break;
            }

            int size = SessionEncoder.SizeOf(call, Client);
            byte[] element = new byte[SessionEncoder.ElementSizeOf(call, size)];
            Assert.Equal(element.Length, SessionEncoder.Write(element, call, size, Client));
            Wire.SessionRequest read = Wire.SessionRequest.Parser.ParseFrom([.. element, .. element]);
            Assert.Equal([expected, expected], read.Operations);
        }
    }

    [Fact]
    public void Answers_of_the_generated_writer_are_read_as_they_were_meant()
    {
        Random random = new(2);
        Wire.KeyValue Pair() =>
            new()
            {
                Key = ByteString.CopyFrom(Random(random, 50)),
                Value = ByteString.CopyFrom(Random(random, 50)),
                Version = Number(random),
                TtlRemainingMs = random.Next(5),
            };
        for (int round = 0; round < 2000; round++)
        {
            Wire.SessionResult result = new() { Id = Number(random) };
            SessionCall call = new(null!);
            switch (random.Next(4))
            {
                case 0:
                    result.Get = new Wire.GetResponse
                    {
                        Found = random.Next(4) > 0,
                        Value = ByteString.CopyFrom(Random(random, 300)),
                        Version = Number(random),
                        TtlRemainingMs = random.Next(3),
                    };
                    call.Kind = SessionCallKind.Get;
                    break;
                case 1:
                    result.Put = new Wire.PutResponse
                    {
                        Success = random.Next(2) == 0,
                        Version = Number(random),
                        LeaderHint = "x:1",
                        Previous = random.Next(2) == 0 ? null : Pair(),
                    };
                    call.Kind = SessionCallKind.Put;
                    break;
                case 2:
                    result.Delete = new Wire.DeleteResponse
                    {
                        Success = random.Next(2) == 0,
                        ConditionFailed = random.Next(2) == 0,
                        Version = Number(random),
                        Previous = random.Next(2) == 0 ? null : Pair(),
                    };
                    call.Kind = SessionCallKind.Delete;
                    break;
                default:
                    result.Txn = new Wire.TxnResponse { Succeeded = true, Version = Number(random) };
                    call.Kind = SessionCallKind.Txn;
                    break;
            }

            SessionResultFields read = SessionResultFields.Read(result.ToByteArray());
            SessionDecoder.ReadResult(call, read, Router);

            Assert.Equal(result.Id, read.Id);
            switch (call.Kind)
            {
                case SessionCallKind.Get:
                    GetResult get = WireMapping.FromWire(result.Get);
                    Assert.Equal(
                        (get.Found, get.Version, get.TimeToLive),
                        (call.GetResult.Found, call.GetResult.Version, call.GetResult.TimeToLive));
                    Assert.Equal(get.Value.ToArray(), call.GetResult.Value.ToArray());
                    break;
                case SessionCallKind.Put:
                    PutResult put = WireMapping.FromWire(result.Put);
                    Assert.Equal(
                        (put.Succeeded, put.Version, put.Previous?.KeyText, put.Previous?.TimeToLive),
                        (
                            call.PutResult.Succeeded,
                            call.PutResult.Version,
                            call.PutResult.Previous?.KeyText,
                            call.PutResult.Previous?.TimeToLive));
                    break;
                case SessionCallKind.Delete:
                    DeleteResult delete = WireMapping.FromWire(result.Delete);
                    Assert.Equal(
                        (delete.Deleted, delete.ConditionFailed, delete.Version, delete.Previous?.ValueText),
                        (
                            call.DeleteResult.Deleted,
                            call.DeleteResult.ConditionFailed,
                            call.DeleteResult.Version,
                            call.DeleteResult.Previous?.ValueText));
                    break;
                default:
                    Assert.Equal(result.Txn.Version, call.TxnResult!.Version.Value);
                    break;
            }
        }
    }

    [Fact]
    public void Damaged_answers_are_refused_and_never_read_beyond_their_end()
    {
        Random random = new(3);
        byte[] good = new Wire.SessionResult
        {
            Id = 5,
            Get = new Wire.GetResponse
            {
                Found = true,
                Value = ByteString.CopyFromUtf8("value"),
                Version = 77,
                TtlRemainingMs = 9,
            },
        }.ToByteArray();
        int refused = 0;
        for (int round = 0; round < 20_000; round++)
        {
            byte[] damaged = good[..random.Next(good.Length + 1)];
            for (int i = 0; i < random.Next(4) && damaged.Length > 0; i++)
            {
                damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            }

            try
            {
                SessionResultFields read = SessionResultFields.Read(damaged);
                SessionDecoder.ReadResult(new SessionCall(null!) { Kind = SessionCallKind.Get }, read, Router);
                SessionDecoder.ReadError(read.Content, "a:1");
            }
            catch (FormatException)
            {
                refused++;
            }
        }

        Assert.InRange(refused, 1000, 19_999);
    }

    [Fact]
    public void A_place_in_the_table_is_never_found_by_an_old_number()
    {
        Random random = new(4);
        CallTable table = new();
        Dictionary<ulong, SessionCall> model = [];
        List<ulong> old = [];
        for (int round = 0; round < 50_000; round++)
        {
            if (random.Next(100) < (round % 10_000 < 5000 ? 60 : 40))
            {
                SessionCall call = new(null!);
                Assert.True(table.TryAdd(call));
                Assert.True(model.TryAdd(call.Id, call));
            }
            else if (model.Count > 0)
            {
                ulong id = model.Keys.ElementAt(random.Next(Math.Min(model.Count, 10)));
                Assert.True(table.TryRemove(id, out SessionCall? found));
                Assert.Same(model[id], found);
                model.Remove(id);
                old.Add(id);
            }

            if (old.Count > 0)
            {
                Assert.False(table.TryRemove(old[random.Next(old.Count)], out _));
            }

            Assert.Equal(model.Count, table.Count);
        }

        Assert.Equal(model.Count, table.Where(_ => true).Count);
        Assert.False(table.TryRemove(ulong.MaxValue, out _));
    }
}
