using System.Buffers.Binary;
using Henge.Core;
using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Bitcask.Settings;
using Henge.Storage.Bitcask.State;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.MemTables;

namespace Henge.Storage.Bitcask.Merging;

/// <summary>
/// Rewrites segments without what is dead in them. Copies are durable before the manifest lists them in place of the segments that they
/// come from, in one change; then the index is led to them, address by address; and the old files go when no reader is left that could be
/// led there. One at a time; between any two of its steps anything else may happen to the engine.
/// </summary>
internal sealed class MergeJob(BitcaskState state, BatchWriter writer)
{
    // Addresses that are replaced while the index lock is held: some tens of microseconds.
    private const int ReplacedAtOnce = 128;
    private readonly HashSet<uint> _forgotten = [];
    private byte[] _prefix = new byte[256];
    private long _bytesWritten;
    private long _count;

    public long BytesWritten => Interlocked.Read(ref _bytesWritten);

    public long Count => Interlocked.Read(ref _count);

    /// <summary>The segment that it is reading; for who is told of an error.</summary>
    public Segment? Reading { get; set; }

    /// <summary>The error of an entry whose damage is noted already.</summary>
    public HengeException? Noted { get; private set; }

    public IEnumerable<BackgroundPoint> Run(IReadOnlyList<Segment> inputs)
    {
        // The epoch first: what drops of later epochs hide may still be copied, and stays hidden.
        ulong epoch = state.AppliedEpoch;
        var limits = new HistoryLimits(state, writer);
        var ids = inputs.Select(static segment => segment.Id).ToHashSet();
        var liveness = new Liveness(state, limits, ids);
        yield return BackgroundPoint.Chosen;

        using var outputs = new MergeOutputs(state, epoch);
        foreach (Segment input in inputs)
        {
            if (input.LiveBytes == 0)
            {
                // The survey said so, and what is dead stays dead: nothing of it is read, whatever state it is in.
                continue;
            }

            Reading = input;
            if (!input.HasHint)
            {
                HintFile.Write(state.Store, input);
                yield return BackgroundPoint.Writing;
            }

            using HintReader? hint = HintReader.Open(state.Store, input.Id, input.End, input.Header.Salt);
            while (hint is not null && Copy(hint, input, liveness, outputs))
            {
                yield return BackgroundPoint.Writing;
            }

            if (hint is null or { IsComplete: false })
            {
                // Written anew, from the segment, by the next try; once.
                ForgetHint(input);
                yield return BackgroundPoint.Discarded;
                yield break;
            }
        }

        Reading = null;
        foreach (Segment _ in outputs.Finish())
        {
            yield return BackgroundPoint.Writing;
        }

        yield return BackgroundPoint.Written;
        Interlocked.Add(ref _bytesWritten, outputs.BytesWritten);
        Install(ids, outputs, limits, epoch);
        yield return BackgroundPoint.Installed;
        foreach (Segment output in outputs.Segments)
        {
            using HintReader? hint = HintReader.Open(state.Store, output.Id, output.End, output.Header.Salt);
            while (hint is not null && LeadTo(output, hint, ids))
            {
                yield return BackgroundPoint.Writing;
            }

            if (hint is null or { IsComplete: false })
            {
                // It was whole a moment ago, and without it some addresses cannot be replaced any more.
                state.Fail(new IOException($"The hint {state.Store.HintPathOf(output.Id)} cannot be read back."));
                yield break;
            }
        }

        CountGone(inputs, outputs.Segments);
        Interlocked.Increment(ref _count);
        if (state.Options.Bugs.DeletesUnderReaders)
        {
            foreach (Segment input in inputs)
            {
                state.Discard(input);
            }

            yield break;
        }

        state.Retire(inputs);
        yield return BackgroundPoint.Deleted;
    }

    private void ForgetHint(Segment input)
    {
        input.HasHint = false;
        if (!_forgotten.Add(input.Id))
        {
            throw SegmentStore.Damage(state.Store.HintPathOf(input.Id), 0, "it cannot be read back, although it was written anew");
        }
    }

    // Some entries of an input; false at the end of its hint.
    private bool Copy(HintReader hint, Segment input, Liveness liveness, MergeOutputs outputs)
    {
        IndexView view = state.Acquire(out int stripe);
        try
        {
            for (int i = 0; i < state.Options.StepEntries; i++)
            {
                if (!hint.Next(out HintEntry entry))
                {
                    return false;
                }

                bool isLive = view.Find(entry.Keyspace) is { } table
                    && liveness.IsLive(table, entry, new EntryAddress(input.Id, entry.Offset));
                if (isLive)
                {
                    Copy(entry, input, outputs);
                }
            }

            return true;
        }
        finally
        {
            view.Release(stripe);
        }
    }

    private void Copy(in HintEntry entry, Segment input, MergeOutputs outputs)
    {
        int length = InternalKey.KeyspaceBytes + entry.Key.Length;
        if (_prefix.Length < length)
        {
            _prefix = new byte[length * 2];
        }

        BinaryPrimitives.WriteUInt32BigEndian(_prefix, entry.Keyspace);
        entry.Key.CopyTo(_prefix.AsSpan(InternalKey.KeyspaceBytes));
        ReadOnlySpan<byte> prefix = _prefix.AsSpan(0, length);
        Span<byte> room = outputs.Add(entry.Length);
        try
        {
            _ = ValueReader.Read(input, prefix, entry.Version, entry.Kind, entry.Offset, room);
        }
        catch (HengeException error)
        {
            outputs.TakeBack(entry.Length);
            state.Damage.Add(input, prefix, error);
            Noted = error;
            throw;
        }
    }

    private void Install(HashSet<uint> inputs, MergeOutputs outputs, HistoryLimits limits, ulong epoch)
    {
        state.Install(change =>
        {
            change.Segments.RemoveAll(listed => inputs.Contains(listed.Id));
            foreach (Segment output in outputs.Segments)
            {
                if (state.Options.Bugs.ForgetsLaterDrops)
                {
                    output.Epoch = change.Epoch;
                }

                change.Segments.Add(new ListedSegment(output.Id, output.Epoch, output.End));
            }

            change.Floor = limits.Floor > change.Floor ? limits.Floor : change.Floor;
        });
        outputs.Keep();
    }

    // Leads some entries to their copies, if they are where they were; false at the end of the hint.
    private unsafe bool LeadTo(Segment output, HintReader hint, HashSet<uint> inputs)
    {
        byte* buffer = stackalloc byte[640];
        lock (state.IndexLock)
        {
            IndexView view = state.Acquire(out int stripe);
            try
            {
                for (int i = 0; i < ReplacedAtOnce; i++)
                {
                    if (!hint.Next(out HintEntry entry))
                    {
                        return false;
                    }

                    if (view.Find(entry.Keyspace) is { } table)
                    {
                        Replace(table, entry, output.Id, inputs, new Span<byte>(buffer, 640));
                    }
                }

                return true;
            }
            finally
            {
                view.Release(stripe);
            }
        }
    }

    private static unsafe void Replace(MemTable table, in HintEntry entry, uint output, HashSet<uint> inputs, Span<byte> stack)
    {
        int size = LookupKey.BufferBytes(entry.Key.Length);
        fixed (byte* buffer = size <= stack.Length ? stack : new byte[size])
        {
            SkipListNode* node = table.Find(new LookupKey(buffer, entry.Keyspace, entry.Key, entry.Version), entry.Kind);

            // Elsewhere it is another entry: its keyspace was dropped meanwhile, and it was written again.
            if (node != null && inputs.Contains(Locator.AddressOf(node).Segment))
            {
                Locator.Replace(node, new EntryAddress(output, entry.Offset));
            }
        }
    }

    private void CountGone(IReadOnlyList<Segment> inputs, IReadOnlyList<Segment> outputs)
    {
        var gone = new Dictionary<uint, long>();
        foreach (Segment input in inputs)
        {
            foreach ((uint keyspace, KeyspaceShare share) in input.Keyspaces)
            {
                gone[keyspace] = gone.GetValueOrDefault(keyspace) + share.Entries;
            }
        }

        foreach (Segment output in outputs)
        {
            foreach ((uint keyspace, KeyspaceShare share) in output.Keyspaces)
            {
                gone[keyspace] = gone.GetValueOrDefault(keyspace) - share.Entries;
            }
        }

        lock (writer.Gate)
        {
            foreach ((uint keyspace, long entries) in gone)
            {
                writer.FindIndex(keyspace)?.AddGone(entries);
            }
        }
    }
}
