using Henge.Core;
using Henge.Node.Api;
using Henge.Storage;

namespace Henge.Server.Operations;

/// <summary>
/// A scan of a range as of one version, page by page. Entries go from the engine straight to the receiver, which encodes or prints them;
/// nothing of them is kept here, so that a scan of any length costs what its receiver keeps of one page. One thread at a time.
/// </summary>
internal sealed class RangeScan
{
    private readonly IHengeNode _node;
    private readonly ReadConsistency _consistency;
    private readonly bool _isReverse;
    private readonly bool _keysOnly;
    private readonly int _pageItems;
    private readonly ulong _fingerprint;
    private ReadOnlyMemory<byte> _lower;
    private ReadOnlyMemory<byte> _upper;
    private long _remaining;
    private long _deadlineMs;
    private PageFetch? _page;

    private RangeScan(IHengeNode node, in KeyRange range, in ScanTerms terms, int pageItems)
    {
        _node = node;
        (_lower, _upper) = (range.Start, range.End);
        (_isReverse, _keysOnly, _consistency) = (terms.Reverse, terms.KeysOnly, terms.Consistency);
        _pageItems = Math.Min(pageItems, node.Limits.ScanPageItems);
        _fingerprint = ScanContinuation.FingerprintOf(terms);
        _remaining = terms.Limit == 0 ? long.MaxValue : terms.Limit;
        Version = terms.Version;
        if (!terms.Continuation.IsEmpty)
        {
            Resume(terms.Continuation.Span);
        }
    }

    /// <summary>The version that is read at; zero before <see cref="Begin"/> where none was asked for.</summary>
    public Core.Version Version { get; private set; }

    /// <summary>True when there are entries behind the last page, within its limit or beyond.</summary>
    public bool HasMore { get; private set; }

    /// <summary>True when there is nothing behind the last page, or the limit is reached.</summary>
    public bool Ended { get; private set; }

    /// <summary>
    /// A scan of the keys with a prefix, of any length, as of a version up to which the node has everything. Values come empty.
    /// </summary>
    /// <param name="node">The node.</param>
    /// <param name="version">The version.</param>
    /// <param name="prefix">The prefix; empty: all keys.</param>
    /// <param name="pageItems">Most entries of a page, within the node's limit.</param>
    public static RangeScan OfKeys(IHengeNode node, Core.Version version, ReadOnlyMemory<byte> prefix, int pageItems = int.MaxValue) =>
        new(
            node,
            KeyRange.Prefix(prefix),
            new ScanTerms { Prefix = prefix, Version = version, KeysOnly = true },
            pageItems);

    /// <summary>A scan that a request asks for. Throws <see cref="HengeException"/> (InvalidArgument, TooLarge).</summary>
    public static RangeScan Create(IHengeNode node, in ScanTerms terms) =>
        new(node, RequestedRange.Of(terms.Prefix, terms.Start, terms.End, node.Limits), terms, int.MaxValue);

    /// <summary>
    /// The operation that makes sure of the read: run it before the first page, and give its version to <see cref="Begin"/>.
    /// </summary>
    public void LoadBarrier(Operation operation)
    {
        operation.Kind = OperationKind.Barrier;
        operation.AllShards = true;
        operation.Consistency = _consistency;
        operation.ReadVersion = Version;
    }

    /// <summary>The barrier has been passed.</summary>
    public void Begin(Core.Version readVersion) => Version = Version.IsZero ? readVersion : Version;

    /// <summary>Makes sure of the read; before the first page. Throws <see cref="HengeException"/>.</summary>
    /// <param name="deadlineMs">Until when, on the node's monotonic clock; 0: without end.</param>
    public async ValueTask BeginAsync(long deadlineMs = 0)
    {
        _deadlineMs = deadlineMs;
        AwaitedOperation barrier = new() { DeadlineMs = deadlineMs };
        LoadBarrier(barrier);
        await barrier.RunAsync(_node);
        Begin(barrier.Version);
    }

    /// <summary>
    /// Fetches what other nodes have of the next page, before <see cref="ReadPage(IScanReceiver)"/>. Throws <see cref="HengeException"/>.
    /// </summary>
    public ValueTask PrepareAsync() => PrepareAsync(_keysOnly);

    /// <summary>
    /// Gives the next page to a receiver, as many entries and bytes as a page may have; it has been prepared. Throws
    /// <see cref="HengeException"/>.
    /// </summary>
    /// <returns>How many entries it had.</returns>
    public int ReadPage(IScanReceiver receiver) => ReadPage(receiver, _keysOnly);

    /// <summary>Prepares the next page and gives it to a receiver. Throws <see cref="HengeException"/>.</summary>
    /// <returns>How many entries it had.</returns>
    public async ValueTask<int> ReadPageAsync(IScanReceiver receiver)
    {
        await PrepareAsync();
        return ReadPage(receiver);
    }

    /// <summary>Counts all there is, page by page, giving the thread back between pages.</summary>
    public async ValueTask<ulong> CountAsync(CancellationToken cancellation)
    {
        await PrepareAsync(keysOnly: true);
        ulong count = (ulong)ReadPage(Uncollected.Instance, keysOnly: true);
        while (!Ended)
        {
            cancellation.ThrowIfCancellationRequested();
            await Task.Yield();
            await PrepareAsync(keysOnly: true);
            count += (ulong)ReadPage(Uncollected.Instance, keysOnly: true);
        }

        return count;
    }

    /// <summary>Where another request can go on; empty when there is nothing behind the last page.</summary>
    public ReadOnlyMemory<byte> Continuation() => HasMore ? Position() : default;

    /// <summary>Where it stands, as the continuation of another request.</summary>
    public ReadOnlyMemory<byte> Position() => ScanContinuation.Encode(_fingerprint, Version, (_isReverse ? _upper : _lower).Span);

    /// <summary>The query of the next page.</summary>
    public ScanQuery NextPage() => new()
    {
        Version = Version,
        Lower = _lower,
        Upper = _upper,
        Reverse = _isReverse,
        KeysOnly = _keysOnly,
        LimitItems = (int)Math.Min(_remaining, _pageItems),
        LimitBytes = _node.Limits.ScanPageBytes,
    };

    /// <summary>Moves on behind a page.</summary>
    public void Advance(in ScanEnd end)
    {
        if (_remaining != long.MaxValue)
        {
            _remaining -= end.Items;
        }

        if (end.More)
        {
            byte[] next =
                end.NextKey ?? throw new HengeException(ErrorCode.Internal, "A page of a scan says that there is more and not where.");
            if (_isReverse)
            {
                _upper = next;
            }
            else
            {
                _lower = next;
            }
        }

        (HasMore, Ended) = (end.More, !end.More || _remaining == 0);
    }

    /// <summary>What is left to live of an entry of this scan, in milliseconds; 0: for ever.</summary>
    public long TtlRemaining(long expiresAtMs) => TimeToLive.Remaining(expiresAtMs, Version, _node);

    private ValueTask PrepareAsync(bool keysOnly)
    {
        _page = PageFetch.OfScan(NextPage() with { KeysOnly = keysOnly }, _consistency == ReadConsistency.Stale);
        return _node.HasAllShardsAt(_page.Required) ? default : NodePages.FetchAsync(_node, _page, _deadlineMs);
    }

    private int ReadPage(IScanReceiver receiver, bool keysOnly)
    {
        PageFetch page = _page ?? throw new InvalidOperationException("A page is read once, after it was prepared.");
        _page = null;
        ScanEnd end = _node.ReadPage(page, receiver);
        Advance(end);
        return end.Items;
    }

    private void Resume(ReadOnlySpan<byte> token)
    {
        ReadOnlySpan<byte> key = ScanContinuation.Decode(token, _fingerprint, out Core.Version version);
        if (!Version.IsZero && Version != version)
        {
            throw KvValidation.Invalid(
                $"The continuation is of version {version}, and the request asks for {Version}. Leave the version out, or repeat it.");
        }

        if (key.SequenceCompareTo(_lower.Span) < 0 || (!_upper.IsEmpty && key.SequenceCompareTo(_upper.Span) > 0)
            || (_isReverse && key.IsEmpty))
        {
            throw KvValidation.Invalid("The continuation stands outside of the range. Send the bytes of the last response as they are.");
        }

        Version = version;
        if (_isReverse)
        {
            _upper = key.ToArray();
        }
        else
        {
            _lower = key.ToArray();
        }
    }

    private sealed class Uncollected : IScanReceiver
    {
        public static Uncollected Instance { get; } = new();

        public void OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version, EntryKind kind, long expiresAtMs)
        {
        }
    }
}
