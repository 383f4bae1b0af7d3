using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Files;

namespace Henge.Storage.Bitcask.State;

/// <summary>
/// Writes to the segment, and what becomes of them on a full disk. Without an owner's log a batch is refused. With one it cannot be: what
/// is committed has to be applied. So it is held in memory, read from there, and written when there is room;
/// <see cref="WritePressure.Stop"/> asks for nothing more meanwhile.
/// </summary>
internal sealed partial class BatchWriter
{
    // Far more than what was on its way when the owner was told to stop.
    private const int MostHeldBytes = 256 << 20;

    /// <summary>True while something waits in memory for room on the disk.</summary>
    public bool IsHolding => _isHolding;

    private void Append(ReadOnlySpan<byte> bytes)
    {
        try
        {
            WriteHeld();
            WriteAt(_end, bytes);
        }
        catch (DiskFullException) when (MayHold(bytes.Length))
        {
            byte[] held = [.. _active.Held is { } before ? before.Bytes : [], .. bytes];
            _active.Held = new HeldTail(_end - (uint)(held.Length - bytes.Length), held);
            _isHolding = true;

            // It tries again, and goes on doing so while there is no room.
            SyncDue();
        }

        _end += (uint)bytes.Length;
        _active.End = _end;
        Interlocked.Add(ref _appended, bytes.Length);
    }

    private bool MayHold(int bytes) => _state.Options.OwnerHasLog && (_active.Held?.Bytes.Length ?? 0) + (long)bytes <= MostHeldBytes;

    private void WriteHeld()
    {
        if (_active.Held is { } held)
        {
            WriteAt(held.Start, held.Bytes);
            _active.Held = null;
            _isHolding = false;
        }
    }

    private void WriteAt(uint offset, ReadOnlySpan<byte> bytes)
    {
        try
        {
            _active.File.Write(offset, bytes);
        }
        catch (DiskFullException)
        {
            CutRefused(offset);
            throw;
        }
        catch (IOException error)
        {
            _state.Fail(new IOException($"A segment could not be written: {error.Message}", error));
            throw;
        }
    }

    // Whole records of what was refused may lie behind the end, and would pass for records once something shorter is written there.
    private void CutRefused(uint end)
    {
        try
        {
            if (_active.File.Length > end)
            {
                _active.File.Truncate(end);
            }
        }
        catch (IOException error)
        {
            _state.Fail(error);
            throw new IOException(error.Message, error);
        }
    }
}
