using Henge.Core;

namespace Henge.Node.Context;

/// <summary>
/// The members of the cluster as this node knows them: those that it was made of, then what the catalog says. A number belongs to one
/// member for ever, also to one that has left. Reads take no lock, on any thread.
/// </summary>
internal sealed class MemberTable
{
    /// <summary>
    /// Stands in place of the incarnation of a founder that was removed before it was ever up: no directory has it, so that none is
    /// listened to.
    /// </summary>
    public const ulong NoDirectory = ulong.MaxValue;

    /// <summary>The highest number that a member is given: so many members can a cluster have had in its life.</summary>
    public const int MostIds = 4_096;

    private readonly Lock _gate = new();
    private volatile State _state = new([], []);
    private long _version;

    /// <summary>Creates it with the members that are known from the start.</summary>
    public MemberTable(IEnumerable<MemberInfo> members)
    {
        foreach (MemberInfo member in members)
        {
            Set(member);
        }
    }

    /// <summary>
    /// Called after a member came, changed or left, one change at a time, by whoever made it. What it does must not change the table.
    /// </summary>
    public Action<MemberInfo>? Changed { get; set; }

    /// <summary>Those who belong to the cluster now, in the order of their numbers. The list never changes.</summary>
    public IReadOnlyList<MemberInfo> Current => _state.Current;

    /// <summary>How many belong to it now.</summary>
    public int Count => _state.Current.Length;

    /// <summary>The version of the latest change of a member that was applied from the catalog; zero before the first.</summary>
    public Core.Version Version => new((ulong)Interlocked.Read(ref _version));

    /// <summary>The highest number that is known to have been given.</summary>
    public ulong HighestId => (ulong)Math.Max(0, _state.ById.Length - 1);

    /// <summary>All that are known, those that have left as well.</summary>
    public IEnumerable<MemberInfo> All => _state.ById.Where(static m => m is not null).Select(static m => m!.Value);

    /// <summary>What is known of a number, also of a member that has left.</summary>
    public bool TryGet(NodeId id, out MemberInfo member)
    {
        MemberInfo?[] byId = _state.ById;
        member = id.Value < (ulong)byId.Length ? byId[id.Value].GetValueOrDefault() : default;
        return member.Name is not null;
    }

    /// <summary>True when a member of that number belongs to the cluster now.</summary>
    public bool Contains(NodeId id) => TryGet(id, out MemberInfo member) && member.Belongs;

    /// <summary>True when a member of that number has left.</summary>
    public bool HasLeft(NodeId id) => TryGet(id, out MemberInfo member) && !member.Belongs;

    /// <summary>
    /// Takes in what a member is now; false when that is known. Throws <see cref="HengeException"/> (InvalidArgument) for a number that
    /// cannot be, or belongs to another name.
    /// </summary>
    public bool Set(MemberInfo member)
    {
        lock (_gate)
        {
            if (member.Id.IsNone || member.Id.Value > MostIds)
            {
                throw new HengeException(
                    ErrorCode.InvalidArgument,
                    $"A member cannot have the number {member.Id}; numbers go from 1 to {MostIds}.");
            }

            if (TryGet(member.Id, out MemberInfo known))
            {
                if (known.Name != member.Name && !known.IsHearsay)
                {
                    throw new HengeException(
                        ErrorCode.InvalidArgument,
                        $"The number {member.Id} belongs to {known.Name}, and is never given to another one, such as {member.Name}.");
                }

                // Who has left does not come back under its number.
                if (known == member || !known.Belongs)
                {
                    return false;
                }
            }

            var byId = new MemberInfo?[Math.Max(_state.ById.Length, (int)member.Id.Value + 1)];
            _state.ById.CopyTo(byId, 0);
            byId[member.Id.Value] = member;
            _state = new State(byId, [.. byId.Where(static m => m is { Belongs: true }).Select(static m => m!.Value)]);
            Changed?.Invoke(member);
            return true;
        }
    }

    /// <summary>All changes of members in the catalog up to a version have been taken in; false when that is known.</summary>
    public bool Reach(Core.Version version)
    {
        lock (_gate)
        {
            if (version <= Version)
            {
                return false;
            }

            Interlocked.Exchange(ref _version, (long)version.Value);
            return true;
        }
    }

    /// <summary>
    /// A member says who it is and where it is reached, which may not be where it is known to be. One that is not known at all is taken at
    /// its word for the time being.
    /// </summary>
    public void Hear(NodeId id, string name, string address)
    {
        lock (_gate)
        {
            if (!TryGet(id, out MemberInfo known))
            {
                Set(new MemberInfo(id, name, address) { State = Api.MemberState.Joining, IsHearsay = true });
            }
            else if (known.IsHearsay)
            {
                Set(known with { Address = address });
            }
            else if (known.Belongs && known.Address != address)
            {
                Set(known with { OtherAddress = address });
            }
        }
    }

    private sealed record State(MemberInfo?[] ById, MemberInfo[] Current);
}
