using System.Buffers;
using System.Globalization;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.StateMachine;

namespace Henge.Node.Catalog;

/// <summary>
/// The changes of members that there are, as steps (<see cref="CatalogStep"/>): functions of what a node has applied. All but a founder's
/// first entry write <see cref="CatalogKeys.NextMember"/> anew on the condition that it is as it was seen: so no two of them are done at
/// once, and what was found of names and addresses holds when they are done.
/// </summary>
internal static class MemberChanges
{
    /// <summary>Most members at one time, so that each can be a learner of the catalog.</summary>
    public const int MostMembers = 1_000;

    /// <summary>A node joins. Done when it has a number.</summary>
    public static CatalogStep Join(CatalogView view, MemberTable table, FoundingSettings founding, JoinRequest request, NodeBugs bugs)
    {
        if (Check(founding, request) is { } problem)
        {
            return CatalogStep.Refuse(problem.Code, problem.Message);
        }

        int members = 0;
        foreach (MemberRecord member in Everyone(view, table, founding))
        {
            if (member.State == MemberState.Left)
            {
                continue;
            }

            members++;
            if (member.Name == request.Name)
            {
                if (member.Incarnation == request.Incarnation)
                {
                    return member.Address == request.Address || IsTaken(view, table, founding, request.Address, member.Id)
                        ? CatalogStep.Done
                        : Update(view, member, member with { Address = request.Address });
                }

                return CatalogStep.Refuse(
                    ErrorCode.Misconfigured,
                    $"There is a member {request.Name} already, with another data directory. Start the node under another name (--node-id); "
                        + $"or, if it is {request.Name} that has lost its directory, replace that member first.");
            }

            if (member.Address == request.Address)
            {
                return CatalogStep.Refuse(
                    ErrorCode.Misconfigured,
                    $"The address {request.Address} is that of the member {member.Name}. Give the node one of its own (--addr, or "
                        + $"--advertise where others reach it by another one than it listens on).");
            }
        }

        if (members >= MostMembers || view.NextMember > MemberTable.MostIds)
        {
            return CatalogStep.Refuse(
                ErrorCode.ResourceExhausted,
                members >= MostMembers
                    ? $"The cluster has {members} members, which are as many as it can have."
                    : $"The cluster has given all {MemberTable.MostIds} numbers of members that there are. Make a new cluster, and bring the "
                        + $"data over with henge export and henge import.");
        }

        var txn = new TxnBuilder();
        var id = new NodeId(view.NextMember);
        if (!bugs.GivesNumbersTwice)
        {
            SeenAsIs(txn, view);
            txn.CompareExistence(MemberRecord.KeyOf(id), exists: false);
        }

        Put(txn, new MemberRecord
        {
            Id = id,
            Name = request.Name,
            Address = request.Address,
            Incarnation = request.Incarnation,
            State = MemberState.Joining,
            Zone = request.Zone,
            Weight = request.Weight == 0 ? MemberInfo.DefaultWeight : request.Weight,
        });
        PutNext(txn, view.NextMember + 1);
        return CatalogStep.Write(txn);
    }

    /// <summary>A member goes from one state to another.</summary>
    public static CatalogStep SetState(
        CatalogView view,
        NodeId id,
        IReadOnlyList<MemberState> from,
        MemberState to,
        NodeBugs bugs = NodeBugs.None)
    {
        if (view.Of(id) is not { } member)
        {
            return CatalogStep.Refuse(ErrorCode.InvalidArgument, $"There is no member {id} in the catalog.");
        }

        return member.State == to ? CatalogStep.Done
            : from.Contains(member.State) ? Update(view, member, member.In(to), bugs: bugs)
            : CatalogStep.Refuse(
                ErrorCode.InvalidArgument,
                $"{member.Name} is {MemberRecord.TextOf(member.State)}, and cannot become {MemberRecord.TextOf(to)}.");
    }

    /// <summary>
    /// A member goes to another state, and something else is written with that. Whoever asks has looked whether it may.
    /// </summary>
    public static CatalogStep SetState(CatalogView view, MemberRecord member, MemberState to, Action<TxnBuilder>? more = null) =>
        Update(view, member, member.In(to), more);

    /// <summary>
    /// Something that is no member is written, on the condition that no member has changed since it was looked at, and no setting.
    /// </summary>
    public static CatalogStep Write(CatalogView view, Action<TxnBuilder> what)
    {
        var txn = new TxnBuilder();
        SeenAsIs(txn, view);
        what(txn);
        PutNext(txn, view.NextMember);
        return CatalogStep.Write(txn);
    }

    /// <summary>A setting gets a value; null: it goes.</summary>
    public static CatalogStep Set(CatalogView view, string setting, string? value) =>
        view.Settings.GetValueOrDefault(setting) == value
            ? CatalogStep.Done
            : Write(view, txn =>
            {
                byte[] key = Encoding.UTF8.GetBytes(CatalogKeys.Setting + setting);
                if (value is not null)
                {
                    Put(txn, key, value);
                    return;
                }

                var command = new ArrayBufferWriter<byte>();
                CommandEncoder.Delete(command, key);
                txn.Then.Add(command.WrittenSpan);
            });

    /// <summary>A founder's first entry: who it is stands under <c>node/&lt;name&gt;</c>, once and for all.</summary>
    public static CatalogStep Found(CatalogView view, MemberRecord founder)
    {
        if (view.Of(founder.Id) is not null)
        {
            return CatalogStep.Done;
        }

        var txn = new TxnBuilder();
        txn.CompareExistence(MemberRecord.KeyOf(founder.Id), exists: false);
        txn.CompareValue(
            Encoding.UTF8.GetBytes(CatalogKeys.Founder + founder.Name),
            CompareRelation.Equal,
            Encoding.UTF8.GetBytes(founder.Incarnation.ToString("x16", CultureInfo.InvariantCulture)));
        Put(txn, founder);
        return CatalogStep.Write(txn);
    }

    /// <summary>A member's own settings are others than its entry says; an address of another member is not taken.</summary>
    public static CatalogStep Describe(
        CatalogView view,
        MemberTable table,
        FoundingSettings founding,
        NodeId self,
        string address,
        string zone,
        int weight)
    {
        if (view.Of(self) is not { State: not MemberState.Left } known)
        {
            return CatalogStep.Done;
        }

        MemberRecord wanted = known with
        {
            Address = address.Length == 0 || IsTaken(view, table, founding, address, self) ? known.Address : address,
            Zone = zone.Length == 0 ? known.Zone : zone,
            Weight = weight == 0 ? known.Weight : weight,
        };
        return wanted == known ? CatalogStep.Done : Update(view, known, wanted);
    }

    private static IEnumerable<MemberRecord> Everyone(CatalogView view, MemberTable table, FoundingSettings founding) =>
        Absent(view, table, founding).Concat(view.Members);

    /// <summary>Founders that have not written themselves in yet are known from the table alone.</summary>
    public static IEnumerable<MemberRecord> Absent(CatalogView view, MemberTable table, FoundingSettings founding)
    {
        for (ulong number = 1; number <= (ulong)founding.Members.Count; number++)
        {
            if (view.Of(new NodeId(number)) is null && table.TryGet(new NodeId(number), out MemberInfo founder))
            {
                yield return new MemberRecord
                {
                    Id = founder.Id,
                    Name = founder.Name,
                    Address = founder.Address,
                    Incarnation = view.IncarnationOfFounder(founder.Name),
                    State = MemberState.Up,
                };
            }
        }
    }

    private static bool IsTaken(CatalogView view, MemberTable table, FoundingSettings founding, string address, NodeId self) =>
        Everyone(view, table, founding).Any(m => m.Id != self && m.State != MemberState.Left && m.Address == address);

    private static CatalogStep Update(
        CatalogView view,
        MemberRecord before,
        MemberRecord after,
        Action<TxnBuilder>? more = null,
        NodeBugs bugs = NodeBugs.None)
    {
        var txn = new TxnBuilder();
        if (!bugs.JudgesChangesAlone)
        {
            SeenAsIs(txn, view);
        }

        if (before.IsAbsent)
        {
            // It may be coming up just now: then it has written itself in, and this is looked at again.
            byte[] founder = Encoding.UTF8.GetBytes(CatalogKeys.Founder + before.Name);
            txn.CompareExistence(MemberRecord.KeyOf(before.Id), exists: false);
            if (before.Incarnation == 0)
            {
                txn.CompareExistence(founder, exists: false);
                after = after with { Incarnation = MemberTable.NoDirectory };
                Put(txn, founder, after.Incarnation.ToString("x16", CultureInfo.InvariantCulture));
            }
            else
            {
                // It has said with which directory it runs, and was lost before it could say more.
                txn.CompareValue(
                    founder,
                    CompareRelation.Equal,
                    Encoding.UTF8.GetBytes(before.Incarnation.ToString("x16", CultureInfo.InvariantCulture)));
            }
        }
        else
        {
            txn.CompareVersion(MemberRecord.KeyOf(before.Id), CompareRelation.Equal, before.Version);
        }

        Put(txn, after);
        more?.Invoke(txn);
        PutNext(txn, view.NextMember);
        return CatalogStep.Write(txn);
    }

    private static void SeenAsIs(TxnBuilder txn, CatalogView view) =>
        txn.CompareVersion(Encoding.UTF8.GetBytes(CatalogKeys.NextMember), CompareRelation.Equal, view.NextMemberVersion);

    private static void Put(TxnBuilder txn, MemberRecord member) => Put(txn, MemberRecord.KeyOf(member.Id), member.ToText());

    private static void PutNext(TxnBuilder txn, ulong number) =>
        Put(txn, Encoding.UTF8.GetBytes(CatalogKeys.NextMember), number.ToString(CultureInfo.InvariantCulture));

    private static void Put(TxnBuilder txn, byte[] key, string value)
    {
        var command = new ArrayBufferWriter<byte>();
        CommandEncoder.Put(command, key, Encoding.UTF8.GetBytes(value), new PutOptions());
        txn.Then.Add(command.WrittenSpan);
    }

    private static HengeException? Check(FoundingSettings founding, JoinRequest request)
    {
        if (NodeIdentity.ProblemOfName(request.Name) is { } name)
        {
            return new HengeException(ErrorCode.InvalidArgument, name);
        }

        if (!NodeJoining.IsAddress(request.Address))
        {
            return new HengeException(ErrorCode.InvalidArgument, $"'{request.Address}' is no HOST:PORT at which a node can be reached.");
        }

        if (
            request.Incarnation == 0
            || request.Zone.Length > MemberRecord.MaxZoneLength
            || request.Zone.Any(static c => char.IsWhiteSpace(c) || char.IsControl(c))
            || request.Weight is < 0 or > MemberRecord.MaxWeight)
        {
            return new HengeException(
                ErrorCode.InvalidArgument,
                $"A zone has at most {MemberRecord.MaxZoneLength} characters and no blanks, a weight is from 1 to {MemberRecord.MaxWeight}, "
                    + $"and an incarnation is not 0.");
        }

        if (request.Token != founding.Token)
        {
            return new HengeException(
                ErrorCode.Misconfigured,
                $"This cluster was made with {(founding.Token == "none" ? "no cluster-token" : "another cluster-token")}: it may not be "
                    + $"the one that the node should join. If it is, start the node with the cluster's token.");
        }

        if (request.FormatLevel != founding.FormatLevel)
        {
            return new HengeException(
                ErrorCode.UnsupportedFormat,
                $"The cluster uses format level {founding.FormatLevel}, and the node's build knows level {request.FormatLevel}. Start the "
                    + $"node with the release that the cluster runs"
                    + (request.FormatLevel > founding.FormatLevel ? ", or upgrade the cluster first." : "."));
        }

        return null;
    }
}
