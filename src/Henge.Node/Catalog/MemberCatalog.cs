using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Storage.Files;

namespace Henge.Node.Catalog;

/// <summary>
/// Follows the catalog's entries of members: what this node applies of them goes into its table, and what its own entry lacks or has wrong
/// is written. Used by the thread that ticks, except where it says otherwise.
/// </summary>
internal sealed class MemberCatalog
{
    private const long DescribeMs = 60_000;
    private readonly NodeContext _node;
    private readonly ICatalogShard _catalog;
    private readonly Incarnations _incarnations;
    private readonly CatalogFreshness _freshness;
    private readonly bool _mayBeChecked;
    private readonly bool _wasChecked;
    private bool? _noted;
    private readonly IReadOnlyDictionary<NodeId, string> _listed;
    private CatalogView? _view;
    private LogIndex _read;
    private bool _hasRead;
    private volatile bool _describes;

    /// <summary>Creates it; nothing is read yet.</summary>
    public MemberCatalog(NodeContext node, ICatalogShard catalog, Incarnations incarnations)
    {
        _node = node;
        _catalog = catalog;
        _incarnations = incarnations;
        _listed = node.Members.All.ToDictionary(static m => m.Id, static m => m.Address);
        Changes = new CatalogChanges(node, catalog);
        _freshness = new CatalogFreshness(node, catalog);
        _noted = AccessFile.Read(node.Environment.FileSystem, node.Options.DataDirectory);
        _mayBeChecked = _noted != false;

        // A node that joins has never been told what its cluster has decided long ago.
        _wasChecked = _noted ?? node.Identity.Joined is not null;
    }

    /// <summary>
    /// Who may do what, as far as this node has applied it. Not known before it has applied all that was acknowledged before it started,
    /// if access was checked when it ran last, or it has never been told. Thread-safe.
    /// </summary>
    public AccessView Access
    {
        get
        {
            CatalogView? view = View;
            AccessView access = view?.Access ?? AccessView.None;
            return !_mayBeChecked || _freshness.IsReached(view) ? access : access.WhileNotKnown(_wasChecked);
        }
    }

    /// <summary>Changes that this node was asked for.</summary>
    public CatalogChanges Changes { get; }

    /// <summary>What this node has applied of the catalog; null before it was first read. Thread-safe.</summary>
    public CatalogView? View => Volatile.Read(ref _view);

    /// <summary>Reads what is new, and goes on with changes.</summary>
    public void Run(bool mayWrite = true)
    {
        Refresh();
        if (mayWrite && !_node.IsDead)
        {
            if (_mayBeChecked && _node.Cluster.IsEstablished)
            {
                _freshness.Run();
            }

            if (View is { } view)
            {
                NoteAccess(view);
            }

            DescribeSelf();
            Changes.Run(View);
        }
    }

    /// <summary>
    /// Takes a node in, on whichever member it asks. The answer comes when the catalog has it, and is the same when the node asks again.
    /// Thread-safe.
    /// </summary>
    public void Join(JoinRequest request, long deadlineMs, Action<JoinAnswer?, HengeException?> answered)
    {
        NodeId given = NodeId.None;
        if (!_node.Cluster.IsEstablished)
        {
            answered(null, new HengeException(
                ErrorCode.Unavailable,
                "This node does not know yet that its cluster exists, which a majority of the nodes it is made of has to agree on. Try again."));
            return;
        }

        Changes.Add(
            view =>
            {
                CatalogStep step = MemberChanges.Join(view, _node.Members, _node.Identity.Founding, request, _node.Options.Bugs);
                given = view.Members.FirstOrDefault(m => m.Incarnation == request.Incarnation && m.Name == request.Name)?.Id ?? NodeId.None;
                return step;
            },
            deadlineMs,
            problem => answered(problem is null ? Answer(given) : null, problem));
    }

    /// <summary>Has a member go from one state to another. Thread-safe.</summary>
    public void SetState(
        NodeId member,
        IReadOnlyList<MemberState> from,
        MemberState to,
        long deadlineMs,
        Action<HengeException?> ended) =>
        Changes.Add(view => MemberChanges.SetState(view, member, from, to), deadlineMs, ended);

    /// <summary>Changes users, roles, or whether access is checked. Thread-safe.</summary>
    public void ChangeAccess(AccessChange change, long deadlineMs, Action<HengeException?> ended)
    {
        bool isRepeated = false;
        Changes.Add(
            view =>
            {
                CatalogStep step = new AccessChanges(view.Access, _node.Options.Bugs).Next(change, isRepeated);
                isRepeated |= step.Transaction is not null;
                return step;
            },
            deadlineMs,
            ended);
    }

    private JoinAnswer Answer(NodeId given) => new()
    {
        Id = given,
        ClusterId = _node.Cluster.Id,
        Founding = _node.Identity.Founding.ToText(),
        Members = [.. _node.Members.Current.Where(static m => !m.IsHearsay).Select(static m => new NodeEntry(m.Id, m.Name, m.Address))],
    };

    private void Refresh()
    {
        LogIndex applied = _catalog.Applied;
        if (_hasRead && applied == _read)
        {
            return;
        }

        try
        {
            if (CatalogView.Read(_node.Engine, _catalog, _node.Identity.Founding.Members.Count, View?.Access) is not { } view)
            {
                return;
            }

            (_read, _hasRead) = (applied, true);
            AccessView before = View?.Access ?? AccessView.None;
            NoteAccess(view);
            Volatile.Write(ref _view, view);
            if (view.Access != before)
            {
                _node.AccessChanged?.Invoke();
            }

            Core.Version newest = default;
            foreach (MemberRecord member in view.Members)
            {
                Take(member);
                newest = member.Version > newest ? member.Version : newest;
            }

            // Behind the members: whoever reads it before them has a list that is at least as new.
            if (_node.Members.Reach(newest))
            {
                _node.MembersChanged?.Invoke();
            }
        }
        catch (HengeException e) when (e.Code == ErrorCode.Corruption)
        {
            _catalog.ReportDamage(e);
        }
    }

    // For the next start. That access is checked is noted before anybody here goes by it; that it is not, once that is known for sure.
    private void NoteAccess(CatalogView view)
    {
        bool isChecked = view.Access.IsEnabled;
        if (_noted == isChecked || (!isChecked && _mayBeChecked && !_freshness.IsReached(view)))
        {
            return;
        }

        try
        {
            AccessFile.Write(_node.Environment.FileSystem, _node.Options.DataDirectory, isChecked);
            _noted = isChecked;
        }
        catch (DiskFullException)
        {
            // Later.
        }
        catch (IOException e)
        {
            _node.Fatal($"The file {AccessFile.Name} in '{_node.Options.DataDirectory}' could not be written: {e.Message}", e);
        }
    }

    private void Take(MemberRecord record)
    {
        if (_incarnations.Of(record.Id) != record.Incarnation)
        {
            _incarnations.Learn(record.Id, record.Incarnation);
        }

        bool isSelf = record.Id == _node.Self;
        string listed = _listed.GetValueOrDefault(record.Id) ?? "";
        var member = new MemberInfo(record.Id, record.Name, isSelf && listed.Length > 0 ? listed : record.Address)
        {
            State = _node.Options.Bugs.HearsMembersThatLeft && record.State == MemberState.Left && !isSelf ? MemberState.Up : record.State,
            Zone = record.Zone,
            Weight = record.Weight,

            OtherAddress = isSelf ? "" : OtherAddress(record, listed),
        };
        if (_node.Members.Set(member))
        {
            _node.Events?.MemberChanged(record.Name, record.Id, record.State, member.Address);
        }

        if (isSelf && record.State == MemberState.Left)
        {
            _node.EndAsLeft();
        }
    }

    // What the member has said itself, else what the list says that this node was started with: that may be newer than what is applied
    // here, if all members were moved while they were down, or older.
    private string OtherAddress(MemberRecord record, string listed)
    {
        string told = _node.Members.TryGet(record.Id, out MemberInfo known) ? known.OtherAddress : "";
        return told.Length > 0 && told != record.Address ? told : listed != record.Address ? listed : "";
    }

    // What this node's own settings say of it goes into its entry.
    private void DescribeSelf()
    {
        if (_describes || View is not { } view || !_node.Cluster.IsEstablished || _incarnations.Of(_node.Self) == 0)
        {
            return;
        }

        NodeOptions options = _node.Options;
        string address = _node.AddressOf(_node.Self) ?? "";
        Func<CatalogView, CatalogStep> next = view.Of(_node.Self) is null && _node.Identity.Joined is null
            ? seen => MemberChanges.Found(seen, new MemberRecord
            {
                Id = _node.Self,
                Name = options.Name,
                Address = address,
                Incarnation = _node.Identity.Incarnation,
                State = MemberState.Up,
                Zone = options.Zone,
                Weight = options.Weight == 0 ? MemberInfo.DefaultWeight : options.Weight,
            })
            : seen => MemberChanges.Describe(
                seen,
                _node.Members,
                _node.Identity.Founding,
                _node.Self,
                address,
                options.Zone,
                options.Weight);
        if (next(view).Transaction is not null)
        {
            _describes = true;
            Changes.Add(next, _node.MonotonicMs + DescribeMs, _ => _describes = false);
        }
    }
}
