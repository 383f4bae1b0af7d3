using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Operations;
using Henge.Server.Resp.Wire;
using Henge.Storage;

namespace Henge.Server.Resp.Connections;

/// <summary>
/// A key of WATCH. A key that is there is compared by the version that wrote it, within the transaction. A key that is not there has no
/// such version; but its deletion has one, in the history of the key, should it be made and deleted before EXEC. That is looked at when
/// EXEC comes, however long ago WATCH was; and what happens from then on is compared within the transaction (decision 0185).
/// </summary>
internal sealed class WatchedKey(byte[] key)
{
    private Core.Version _seen;
    private Core.Version _newest;

    /// <summary>The key.</summary>
    public byte[] Key => key;

    /// <summary>The version that wrote it; zero: it was not there.</summary>
    public Core.Version Version { get; private set; }

    /// <summary>
    /// For a key that was not there: nothing was written to it up to this version, as <see cref="HasChangedAsync"/> has seen.
    /// </summary>
    public Core.Version UnwrittenSince { get; private set; }

    /// <summary>Takes note of how the key is; the error to reply, if any.</summary>
    public async ValueTask<string?> BeginAsync(RespConnection connection)
    {
        Operation get = await connection.RunOneAsync(o => (o.Kind, o.Key) = (OperationKind.Get, key));
        if (get.Error != ErrorCode.None)
        {
            return RespErrors.Of(get.Error, get.ErrorMessage);
        }

        _seen = get.Version;
        if (connection.Node.TryRead(get, out PinnedValue value))
        {
            using (value)
            {
                Version = value.Version;
            }
        }
        else
        {
            (_newest, _) = await NewestAsync(connection.Node);
        }

        return null;
    }

    /// <summary>
    /// Whether a key that was not there has been written since, even if it is gone again; also true when the history that would tell is
    /// gone. Otherwise the error to reply, if any.
    /// </summary>
    public async ValueTask<(bool Changed, string? Error)> HasChangedAsync(RespConnection connection)
    {
        if (!Version.IsZero)
        {
            return (false, null);
        }

        // What was acknowledged to anybody before EXEC is seen.
        Operation barrier = await connection.RunOneAsync(o => (o.Kind, o.Key) = (OperationKind.Get, key));
        if (barrier.Error != ErrorCode.None)
        {
            return (false, RespErrors.Of(barrier.Error, barrier.ErrorMessage));
        }

        (Core.Version newest, Core.Version applied) = await NewestAsync(connection.Node);
        if (newest > _newest)
        {
            return (true, null);
        }

        UnwrittenSince = applied;
        try
        {
            // A node that is alone judges by a version that its shards come to only later.
            await NodePages.HistoryAsync(connection.Node, key, _seen < applied ? _seen : applied, 1, new NewestVersion());
            return (false, null);
        }
        catch (HengeException e) when (e.Code == ErrorCode.HistoryGone)
        {
            return (true, null);
        }
    }

    private async ValueTask<(Core.Version Newest, Core.Version Applied)> NewestAsync(IHengeNode node)
    {
        var newest = new NewestVersion();
        ScanEnd end = await NodePages.HistoryAsync(node, key, Core.Version.Max, 1, newest);
        return (newest.Version, end.Applied);
    }

    /// <summary>The version of the first entry, a deletion or not.</summary>
    private sealed class NewestVersion : IScanReceiver
    {
        public Core.Version Version { get; private set; }

        public void OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version, EntryKind kind, long expiresAtMs) =>
            Version = version > Version ? version : Version;
    }
}
