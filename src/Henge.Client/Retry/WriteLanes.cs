using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace Henge.Client;

/// <summary>
/// Numbers for writes, so that a retry takes effect at most once: each lane is a client id of its own and carries one write at a time, with rising sequence
/// numbers. So the cluster need only remember the last number of each id, whatever order concurrent writes arrive in (Raft thesis, section 6.3).
/// Thread-safe.
/// </summary>
internal sealed class WriteLanes
{
    private readonly ConcurrentQueue<WriteLane> _free = [];

    /// <summary>Takes a lane for one write and gives it its next number.</summary>
    public WriteLane Rent()
    {
        if (!_free.TryDequeue(out WriteLane? lane))
        {
            lane = new WriteLane(NewClientId());
        }

        lane.Sequence++;
        return lane;
    }

    /// <summary>Gives a lane back once its write has ended, however it ended.</summary>
    public void Return(WriteLane lane) => _free.Enqueue(lane);

    private static ulong NewClientId()
    {
        Span<byte> random = stackalloc byte[8];
        ulong id;
        do
        {
            RandomNumberGenerator.Fill(random);
            id = BinaryPrimitives.ReadUInt64LittleEndian(random);
        }
        while (id == 0);
        return id;
    }
}

/// <summary>One lane: see <see cref="WriteLanes"/>. Used by one write at a time.</summary>
internal sealed class WriteLane(ulong clientId)
{
    /// <summary>The id under which the cluster remembers it; random, never 0.</summary>
    public ulong ClientId => clientId;

    /// <summary>The number of the write under way.</summary>
    public ulong Sequence { get; set; }
}
