using System.Buffers;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Subscriptions;
using Henge.Node.Watch;
using Henge.Storage;

namespace Henge.Node.Tests.Subscriptions;

/// <summary>What two nodes say of a watch comes out as it went in, and what is none is refused.</summary>
public sealed class SubscriptionRecordTests
{
    private static readonly ShardMap Shards = new(8);

    [Fact]
    public void An_opening_comes_out_as_it_went_in()
    {
        byte[] bytes = Encode(Opening());
        Assert.True(WatchOpening.TryRead(bytes, 8, 16, out WatchOpening? read));
        Assert.Equal((7UL, 900UL), (read.Id, read.Credit));
        Assert.Equal(Opening().Positions, read.Positions);
        Assert.Equal("a"u8, read.Query.Lower.Span);
        Assert.Equal("b"u8, read.Query.Upper.Span);
        Assert.True(read.Query.PreviousValues && read.Query.Progress);
        Assert.Equal(bytes, Encode(read));
        for (int length = 0; length < bytes.Length; length++)
        {
            Assert.False(WatchOpening.TryRead(bytes.AsSpan(0, length), 8, 16, out _));
        }
    }

    [Fact]
    public void An_opening_of_other_shards_long_keys_or_an_empty_range_is_none()
    {
        byte[] bytes = Encode(Opening());
        Assert.False(WatchOpening.TryRead(bytes, 5, 16, out _));
        Assert.False(WatchOpening.TryRead([.. bytes, 0], 8, 16, out _));
        WatchQuery query = Opening().Query;
        Assert.False(WatchOpening.TryRead(Encode(Opening() with { Query = query with { Lower = new byte[18] } }), 8, 16, out _));
        Assert.False(WatchOpening.TryRead(Encode(Opening() with { Query = query with { Upper = "a"u8.ToArray() } }), 8, 16, out _));
        Assert.False(WatchOpening.TryRead(Encode(Opening() with { Positions = [] }), 8, 16, out _));
        Assert.False(
            WatchOpening.TryRead(Encode(Opening() with { Positions = [.. Opening().Positions.Reverse()] }), 8, 16, out _));
    }

    [Fact]
    public void Events_come_out_as_they_went_in()
    {
        byte[] bytes = Written(new WatchOptions(), out int[] ends);
        var reader = new EventsReader(bytes);
        var read = new List<string>();
        while (reader.MoveNext())
        {
            WatchEventView e = reader.Current;
            Assert.Equal(Shards.ShardOf(e.Key), reader.Shard);
            Assert.Equal(e.Version, reader.Version);
            Assert.Contains(reader.Position, ends);
            read.Add(
                $"{e.Reason} {e.Key.Length} {e.Value.Length} {e.Type} {e.Version} {e.ExpiresAtMs} {e.HasPrevious} "
                    + $"{e.PreviousValue.Length} {e.PreviousType} {e.PreviousVersion} {reader.IsFirst}");
        }

        Assert.False(reader.Failed);
        Assert.Equal(
            [
                "Put 1 3 Bytes 100 0 False 0 Bytes 0 True",
                "Delete 1 0 Bytes 100 0 True 2 Hash 90 False",
                "Expired 2 0 Bytes 101 0 False 0 Bytes 0 True",
                "Put 0 0 Hash 102 77 True 0 Bytes 5 True",
            ],
            read);
    }

    [Fact]
    public void Events_that_make_no_sense_end_the_walk()
    {
        byte[] bytes = Written(new WatchOptions(), out int[] ends);
        for (int length = 0; length < bytes.Length; length++)
        {
            var reader = new EventsReader(bytes.AsSpan(0, length));
            while (reader.MoveNext())
            {
            }

            Assert.Equal(length > 0 && !ends.Contains(length), reader.Failed);
        }

        var none = new EventsReader([1]);
        Assert.True(!none.MoveNext() && none.Failed);
    }

    [Fact]
    public void Earlier_values_that_are_too_large_together_are_left_out_and_events_that_are_are_refused()
    {
        byte[] bytes = Written(new WatchOptions { ServedPreviousBytes = 1 }, out _);
        var reader = new EventsReader(bytes);
        int previous = 0;
        while (reader.MoveNext())
        {
            previous += reader.Current.HasPrevious ? 1 : 0;
        }

        Assert.Equal(1, previous);
        HengeException error = Assert.Throws<HengeException>(() => Written(new WatchOptions { ServedVersionBytes = 3 }, out _));
        Assert.Equal(ErrorCode.TooLarge, error.Code);
    }

    private static WatchOpening Opening() =>
        new(
            7,
            new WatchQuery { Lower = "a"u8.ToArray(), Upper = "b"u8.ToArray(), PreviousValues = true, Progress = true },
            [new ShardPosition(new ShardId(2), default), new ShardPosition(new ShardId(5), new Core.Version(1UL << 50))],
            900);

    private static byte[] Encode(WatchOpening opening)
    {
        var writer = new ArrayBufferWriter<byte>();
        opening.Write(writer);
        return writer.WrittenSpan.ToArray();
    }

    private static byte[] Written(WatchOptions options, out int[] ends)
    {
        var writer = new EventsWriter(Shards, options);
        var at = new List<int>();
        writer.OnEvent(new WatchEventView { Reason = WatchReason.Put, Key = "a"u8, Value = "123"u8, Version = new Core.Version(100) });
        at.Add(writer.Written.Length);
        writer.OnEvent(new WatchEventView
        {
            Reason = WatchReason.Delete,
            Key = "a"u8,
            Version = new Core.Version(100),
            HasPrevious = true,
            PreviousValue = "xy"u8,
            PreviousType = DataType.Hash,
            PreviousVersion = new Core.Version(90),
        });
        at.Add(writer.Written.Length);
        writer.OnEvent(new WatchEventView { Reason = WatchReason.Progress, Version = new Core.Version(100) });
        writer.OnEvent(new WatchEventView { Reason = WatchReason.Expired, Key = "bc"u8, Version = new Core.Version(101) });
        at.Add(writer.Written.Length);
        writer.OnEvent(new WatchEventView
        {
            Reason = WatchReason.Put,
            Type = DataType.Hash,
            Version = new Core.Version(102),
            ExpiresAtMs = 77,
            HasPrevious = true,
            PreviousVersion = new Core.Version(5),
        });
        at.Add(writer.Written.Length);
        ends = [.. at];
        byte[] written = writer.Written.ToArray();
        writer.Clear();
        Assert.True(writer.Written.IsEmpty);
        return written;
    }
}
