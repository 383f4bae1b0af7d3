using System.Globalization;
using System.Text;
using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using Henge.Storage;

namespace Henge.Node.Catalog;

/// <summary>
/// Members and settings as they stand in what this node has applied of the catalog. It may be out of date, so whoever changes something
/// does it on the condition that what was seen here still holds. Immutable.
/// </summary>
internal sealed class CatalogView
{
    private readonly Dictionary<NodeId, MemberRecord> _members = [];
    private readonly SortedDictionary<string, string> _settings = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ulong> _founders = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (byte[] Value, Core.Version Version)> _placements = new(StringComparer.Ordinal);

    private CatalogView(ulong nextMember, Core.Version asOf)
    {
        NextMember = nextMember;
        AsOf = asOf;
    }

    /// <summary>Everything up to this version is in it.</summary>
    public Core.Version AsOf { get; }

    /// <summary>Up to this index of the catalog's log everything is in it.</summary>
    public LogIndex ReadAt { get; init; }

    /// <summary>The members that have an entry, in the order of their numbers.</summary>
    public IEnumerable<MemberRecord> Members => _members.Values.OrderBy(static m => m.Id);

    /// <summary>The cluster's settings by name.</summary>
    public IReadOnlyDictionary<string, string> Settings => _settings;

    /// <summary>The number for the next member.</summary>
    public ulong NextMember { get; private set; }

    /// <summary>
    /// The version of the entry with that number; zero when there is none yet. As long as it stands, nobody has joined, and no member has
    /// changed.
    /// </summary>
    public Core.Version NextMemberVersion { get; private set; }

    /// <summary>The entries of placements, by key: bytes, and the version of the entry.</summary>
    public IReadOnlyDictionary<string, (byte[] Value, Core.Version Version)> Placements => _placements;

    /// <summary>Who may do what.</summary>
    public AccessView Access { get; private set; } = AccessView.None;

    /// <summary>The entry of a member; null when there is none.</summary>
    public MemberRecord? Of(NodeId id) => _members.GetValueOrDefault(id);

    /// <summary>
    /// Which data directory a founder has said that it runs with; 0 when it has not, which it does before its entry is written.
    /// </summary>
    public ulong IncarnationOfFounder(string name) => _founders.GetValueOrDefault(name);

    /// <summary>
    /// Reads it; null when the catalog's state is being replaced. Throws <see cref="HengeException"/> (Corruption).
    /// </summary>
    /// <param name="engine">The node's engine.</param>
    /// <param name="catalog">The catalog's shard.</param>
    /// <param name="founders">How many members the cluster was made of.</param>
    /// <param name="access">Who could do what before: taken over when that has not changed.</param>
    public static CatalogView? Read(IStorageEngine engine, ICatalogShard catalog, int founders, AccessView? access = null)
    {
        int epoch = catalog.Epoch;
        var view = new CatalogView((ulong)founders + 1, catalog.LastVersion) { ReadAt = catalog.Applied };

        // This first: then the members are not older than what it stands for.
        foreach ((byte[] _, byte[] value, Core.Version version) in Scan(engine, CatalogKeys.NextMember))
        {
            if (ulong.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out ulong next) && next > (ulong)founders)
            {
                view.NextMember = next;
                view.NextMemberVersion = version;
            }
        }

        foreach ((byte[] key, byte[] value, Core.Version version) in Scan(engine, CatalogKeys.Member))
        {
            if (MemberRecord.Parse(key, value, version) is { } member)
            {
                view._members[member.Id] = member;
            }
        }

        foreach ((byte[] key, byte[] value, _) in Scan(engine, CatalogKeys.Founder))
        {
            if (ulong.TryParse(value, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong incarnation))
            {
                view._founders[Encoding.UTF8.GetString(key.AsSpan(CatalogKeys.Founder.Length))] = incarnation;
            }
        }

        foreach ((byte[] key, byte[] value, _) in Scan(engine, CatalogKeys.Setting))
        {
            view._settings[Encoding.UTF8.GetString(key.AsSpan(CatalogKeys.Setting.Length))] = Encoding.UTF8.GetString(value);
        }

        foreach (string entry in (string[])[CatalogKeys.Placement, CatalogKeys.Plan, CatalogKeys.Rebalanced])
        {
            foreach ((byte[] _, byte[] value, Core.Version version) in Scan(engine, entry))
            {
                view._placements[entry] = (value, version);
            }
        }

        view.Access = AccessView.Read(engine, access);
        return (epoch & 1) == 0 && catalog.Epoch == epoch ? view : null;
    }

    private static List<(byte[] Key, byte[] Value, Core.Version Version)> Scan(IStorageEngine engine, string prefix)
    {
        byte[] lower = Encoding.UTF8.GetBytes(prefix);
        byte[] upper = [.. lower];
        upper[^1]++;
        var found = new List<(byte[], byte[], Core.Version)>();
        using EngineIterator entries = engine.CreateIterator(new IteratorOptions
        {
            Keyspace = SystemKeys.UserKeyspace(ShardId.Catalog),
            Point = new ReadPoint(Core.Version.Max, 0),
            Lower = lower,
            Upper = upper,
        });
        for (entries.SeekToFirst(); entries.Valid; entries.Next())
        {
            found.Add((entries.Key.ToArray(), entries.Value.ToArray(), entries.Version));
        }

        return found;
    }
}
