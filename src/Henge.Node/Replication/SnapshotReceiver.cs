using System.Buffers.Binary;
using Henge.Core;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Node.StateMachine;
using Henge.Raft;
using Henge.Storage.Files;

namespace Henge.Node.Replication;

/// <summary>
/// Takes a shard's snapshot in: into a file first, so that nothing of the present state is touched before all of it is here, checked and
/// durable and the group wants it. Belongs to the shard's worker.
/// </summary>
internal sealed class SnapshotReceiver(ShardReplica replica, ShardStateMachine machine)
{
    // After the sender has.
    private const long AbandonAfterMs = 2 * SnapshotSender.StallMs;
    private readonly string _directory = Path.Combine(replica.Node.Options.DataDirectory, "snapshots");
    private readonly (ReadOnlyMemory<byte> Bytes, bool Last, bool IsHere)[] _outOfOrder = new (ReadOnlyMemory<byte>, bool, bool)[
        SnapshotSender.Window
    ];
    private SnapshotFile? _file;
    private InstallSnapshot? _header;
    private NodeId _from;
    private ulong _id;
    private uint _next;
    private long _progressMs;
    private LogIndex _onDisk;

    // All of one is here, and the group has not taken it yet, or not refused it: it is still read from the file.
    private bool _isOffered;

    /// <inheritdoc/>
    public override string ToString() =>
        _file is null ? $"idle, {_onDisk} on disk" : $"{_id:x} from {_from}: {_next} chunks, {_onDisk} on disk";

    /// <summary>One is coming in.</summary>
    public bool IsReceiving => _file is not null;

    /// <summary>A chunk has come.</summary>
    public void OnChunk(NodeId from, ReadOnlyMemory<byte> body)
    {
        if (body.Length < SnapshotSender.ChunkHeaderBytes)
        {
            return;
        }

        try
        {
            TakeChunk(from, body);
        }
        catch (DiskFullException e)
        {
            // Nothing of the present state was touched: the leader will offer another one, until there is room.
            replica.Node.Events?.SnapshotRefused(replica.Shard, replica.Node.NameOf(from) ?? from.ToString(), e.Message);
            Abandon();
            _id = 0;
            Acknowledge(from, BinaryPrimitives.ReadUInt64LittleEndian(body.Span), ok: false);
        }
    }

    private void TakeChunk(NodeId from, ReadOnlyMemory<byte> body)
    {
        ReadOnlySpan<byte> span = body.Span;
        ulong id = BinaryPrimitives.ReadUInt64LittleEndian(span);
        uint sequence = BinaryPrimitives.ReadUInt32LittleEndian(span[8..]);
        ReadOnlyMemory<byte> bytes = body[SnapshotSender.ChunkHeaderBytes..];
        if (sequence == 0 && (from != _from || id != _id || _next == 0))
        {
            Begin(from, id, bytes);
        }
        else if (from == _from && id == _id && _file is not null && sequence >= _next && sequence - _next < SnapshotSender.Window)
        {
            Take(sequence, bytes, last: span[12] != 0);
        }

        if (from == _from && id == _id)
        {
            Acknowledge(from, id, ok: true);
        }
        else if (sequence > 0)
        {
            // The middle of something whose beginning is not here, most likely since this node was started anew: it has to come from the
            // beginning.
            Acknowledge(from, id, ok: false);
        }
    }

    /// <summary>The group takes the snapshot that was offered: installs it.</summary>
    public void Install(InstallSnapshot snapshot)
    {
        InstallFrom(replica.Node, _directory, replica.Shard, machine, snapshot);
        _onDisk = snapshot.Index;
    }

    /// <summary>
    /// As <see cref="Install"/>; false when the disk is full. The state of before may be gone by then, but the snapshot is on disk, and
    /// installing it can begin anew at any time.
    /// </summary>
    public bool TryInstall(InstallSnapshot snapshot)
    {
        try
        {
            Install(snapshot);
            return true;
        }
        catch (Exception e) when (e is DiskFullException or HengeException { Code: ErrorCode.DiskFull })
        {
            replica.Node.Events?.SnapshotInstallDelayed(replica.Shard, e.Message);
            return false;
        }
    }

    /// <summary>Installs a shard's complete snapshot from its file.</summary>
    public static InstallSnapshot InstallFrom(
        NodeContext node,
        string directory,
        ShardId shard,
        ShardStateMachine machine,
        InstallSnapshot? expected)
    {
        using ShardSnapshotInstaller installer = machine.BeginInstall();
        InstallSnapshot? header = SnapshotFile.Read(node.Environment.FileSystem, directory, shard, installer.Write);
        Invariant.Check(
            header is not null && (expected is null || (header.Index == expected.Index && header.IndexTerm == expected.IndexTerm)),
            "the snapshot that was offered is on disk");
        Invariant.Check(installer.HasAll, "a snapshot is offered when all of it has come");
        installer.Complete();
        node.Events?.SnapshotInstalled(shard, header.Index);
        return header;
    }

    /// <summary>Nothing is coming in, and no file waits to be deleted.</summary>
    public bool IsIdle => _file is null && _onDisk == LogIndex.Zero && !_isOffered;

    /// <summary>Deletes what is not needed any more.</summary>
    public void Tick()
    {
        _isOffered &= replica.Group.HasReady;
        if (_file is not null && replica.Worker.NowMs - _progressMs > AbandonAfterMs)
        {
            // Whatever comes of it now is the middle of something that is not here.
            Abandon();
            _id = 0;
        }

        // Both: where the engine is ahead of its log, and a bad disk has lost what it was installed from, nobody could tell a log that was
        // lost from one that had not got there yet.
        if (_onDisk > LogIndex.Zero
            && replica.Node.Engine.GetDurablePosition(SystemKeys.Stream(replica.Shard)) >= _onDisk.Value
            && replica.Group.PersistedIndex >= _onDisk)
        {
            SnapshotFile.Delete(replica.Node.Environment.FileSystem, _directory, replica.Shard);
            _onDisk = default;
        }
    }

    /// <summary>A snapshot lies on disk from before the start.</summary>
    public void Found(LogIndex index) => _onDisk = index;

    /// <summary>Gives up what is under way.</summary>
    public void Stop() => Abandon();

    private void Begin(NodeId from, ulong id, ReadOnlyMemory<byte> encoded)
    {
        if (replica.Node.Options.Bugs.ResumesOnOtherSnapshot && _file is not null && _next > 1)
        {
            (_from, _id) = (from, id);
            return;
        }

        Abandon();
        if (!RaftMessageCodec.TryDecode(encoded.Span, out RaftMessage? message, out _) || message is not InstallSnapshot header)
        {
            return;
        }

        if (header.Term < replica.Group.Term)
        {
            // Begun in an earlier term, maybe by the same leader, which would wait for an answer for a minute: it has to offer it anew.
            _id = 0;
            Acknowledge(from, id, ok: false);
            return;
        }

        _from = from;
        _id = id;
        if (_onDisk > LogIndex.Zero || _isOffered)
        {
            // The one before is not installed, or not durable in the engine yet, and its file must not be lost before it is.
            replica.Node.RequestFlush();
            _next = 0;
            _id = 0;
            Acknowledge(from, id, ok: false);
            return;
        }

        if (machine.Damage is not null && header.Index < machine.AppliedIndex)
        {
            // More was applied since it was asked for, and the state never goes back.
            _next = 0;
            _id = 0;
            Acknowledge(from, id, ok: false);
            return;
        }

        _header = header;
        _file = SnapshotFile.Create(replica.Node.Environment.FileSystem, _directory, replica.Shard, encoded.Span);
        _next = 1;
        _progressMs = replica.Worker.NowMs;
    }

    private void Take(uint sequence, ReadOnlyMemory<byte> bytes, bool last)
    {
        // Chunks that overtook others wait for them: dropped, they would cost the whole pause after which the sender repeats.
        _outOfOrder[sequence % SnapshotSender.Window] = (bytes, last, true);
        ref (ReadOnlyMemory<byte> Bytes, bool Last, bool IsHere) next = ref _outOfOrder[_next % SnapshotSender.Window];
        while (next.IsHere && _file is not null)
        {
            (bytes, last) = (next.Bytes, next.Last);
            next = default;
            _next++;
            _progressMs = replica.Worker.NowMs;
            if (last)
            {
                Complete();
            }
            else
            {
                _file.Append(bytes.Span);
            }

            next = ref _outOfOrder[_next % SnapshotSender.Window];
        }
    }

    private void Complete()
    {
        // The engine will need about as much once more, and there is no way back once it has begun.
        long free = replica.Node.Environment.FileSystem.AvailableBytes(_directory);
        if (free < _file!.Length + replica.Node.Options.DiskReserveBytes)
        {
            throw new DiskFullException(
                $"It takes {_file.Length} bytes to install, and only {free} are free, of which {replica.Node.Options.DiskReserveBytes} are "
                    + $"kept in reserve.");
        }

        _file!.Complete(replica.Node.Environment.FileSystem, _directory, replica.Shard);
        _file = null;
        _isOffered = true;
        replica.Offer(_header!);
    }

    private void Abandon()
    {
        if (_file is { } file)
        {
            file.Dispose();
            if (replica.Node.Environment.FileSystem.FileExists(file.Path))
            {
                replica.Node.Environment.FileSystem.Delete(file.Path);
            }

            _file = null;
        }

        _header = null;
        _next = 0;
        Array.Clear(_outOfOrder);
    }

    private void Acknowledge(NodeId to, ulong id, bool ok)
    {
        if (replica.Worker.Links.Begin(to, PeerRecordKind.SnapshotAck, replica.Shard) is not { } frame)
        {
            return;
        }

        Span<byte> span = frame.GetSpan(SnapshotSender.ChunkHeaderBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(span, id);
        BinaryPrimitives.WriteUInt32LittleEndian(span[8..], _next);
        span[12] = ok ? (byte)1 : (byte)0;
        frame.Advance(SnapshotSender.ChunkHeaderBytes);
        frame.EndRecord();
    }
}
