using System.Globalization;
using System.Text;
using Henge.Cluster;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Hosting;
using Henge.Node.StateMachine;
using Henge.Storage;

namespace Henge.Node.Catalog;

/// <summary>
/// Which data directory each member runs with, as the catalog has it. A member writes itself in when it first starts, once and for all; one that comes back
/// with another directory has lost what it promised (votes, acknowledged entries), and the others do not listen to it. Thread-safe.
/// </summary>
internal sealed class Incarnations(NodeContext node)
{
    private readonly ulong[] _known = new ulong[node.Members.Count + 1];
    private int _registering;

    /// <summary>The incarnation of a member; 0 while it is not known.</summary>
    public ulong Of(NodeId id) => Volatile.Read(ref _known[id.Value]);

    /// <summary>Reads what the catalog has by now, and writes this node in when it is not there. Called now and then.</summary>
    public void Refresh(bool mayRegister = true)
    {
        foreach (MemberInfo member in node.Members)
        {
            if (_known[member.Id.Value] == 0 && TryRead(member, out ulong incarnation))
            {
                Volatile.Write(ref _known[member.Id.Value], incarnation);
            }
        }

        ulong own = _known[node.Self.Value];
        if (own == 0)
        {
            if (mayRegister)
            {
                Register();
            }
        }
        else if (own != node.Identity.Incarnation)
        {
            node.Fatal(MessageFor(node.Options.Name), null);
        }
    }

    /// <summary>What the operator of a node should know that runs with another directory than the cluster knows.</summary>
    public static string MessageFor(string name) =>
        $"The cluster knows {name} by another data directory: the one that it runs with now is empty or a different one. "
        + $"Start {name} with its old directory. If that is lost, the node must be replaced, since an empty one could break promises that the old one made.";

    /// <summary>Another member takes this node to run with another directory.</summary>
    public void OnMistaken(NodeId by) => OnRefused(by, MessageFor(node.Options.Name));

    /// <summary>Another member does not take this node for who it says it is.</summary>
    public void OnRefused(NodeId by, string message)
    {
        // One that the catalog knows is refused by nobody in good faith; one that it does not know has an empty directory.
        if (Of(node.Self) == 0)
        {
            node.Fatal($"{node.Members[(int)by.Value - 1].Name} refuses this node. {message}", null);
        }
    }

    private static byte[] KeyOf(MemberInfo member) => Encoding.UTF8.GetBytes("node/" + member.Name);

    private bool TryRead(MemberInfo member, out ulong incarnation)
    {
        incarnation = 0;
        if (!node.Engine.TryGet(SystemKeys.UserKeyspace(ShardId.Catalog), KeyOf(member), new ReadPoint(Core.Version.Max, 0), out PinnedValue value))
        {
            return false;
        }

        using (value)
        {
            return ulong.TryParse(Encoding.UTF8.GetString(value.Span), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out incarnation);
        }
    }

    private void Register()
    {
        if (Interlocked.Exchange(ref _registering, 1) != 0)
        {
            return;
        }

        var writer = new System.Buffers.ArrayBufferWriter<byte>();
        byte[] key = KeyOf(node.Members[(int)node.Self.Value - 1]);
        CommandEncoder.Put(
            writer, key, Encoding.UTF8.GetBytes(node.Identity.Incarnation.ToString("x16", CultureInfo.InvariantCulture)), new PutOptions { Condition = PutCondition.IfAbsent });
        var registration = new Registration(this)
        {
            Kind = OperationKind.Write,
            Key = key,
            Command = writer.WrittenMemory,
            Shard = ShardId.Catalog,
            DeadlineMs = node.MonotonicMs + node.Options.DefaultDeadlineMs,
        };
        node.Admit(1);
        node.WorkerOf(ShardId.Catalog).Submit(registration);
    }

    // Whatever came of it shows in the catalog; if it does not, the next refresh tries again.
    private sealed class Registration(Incarnations owner) : Operation
    {
        protected override void OnCompleted() => Interlocked.Exchange(ref owner._registering, 0);
    }
}
