using System.Runtime.CompilerServices;
using Google.Protobuf;
using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;
using Henge.Protocol.V1;
using Henge.Server.Kv;
using Henge.Server.Operations;
using Henge.Storage;
using Henge.Testing;

namespace Henge.Server.Tests.Kv;

public sealed class AllocationTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_operation_is_read_submitted_and_answered_without_allocating(bool isBehindTheGuard)
    {
        EmptyNode empty = new();
        IHengeNode node = isBehindTheGuard ? new GuardedNode(empty, new OpenAccess()) : empty;
        Plain operation = new(node);
        byte[] get = new GetRequest { Key = ByteString.CopyFromUtf8("some/key"), Version = 5 }.ToByteArray();
        byte[] put = new PutRequest
        {
            Key = ByteString.CopyFromUtf8("some/key"),
            Value = ByteString.CopyFrom(new byte[64]),
            TtlMs = 500,
            ClientId = 7,
            Sequence = 9,
        }.ToByteArray();
        byte[] delete = new DeleteRequest { Key = ByteString.CopyFromUtf8("some/key"), IfVersion = 3 }.ToByteArray();
        byte[] answer = new byte[256];
        for (int i = 0; i < 200; i++)
        {
            Round(operation, get, put, delete, answer);
        }

        Assert.Equal(0, Allocations.Fewest(() =>
        {
            for (int i = 0; i < 1000; i++)
            {
                Round(operation, get, put, delete, answer);
            }
        }));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Round(Plain operation, byte[] get, byte[] put, byte[] delete, byte[] answer)
    {
        operation.LoadGet(get);
        Finish(operation, answer);
        operation.LoadPut(put);
        Finish(operation, answer);
        operation.LoadDelete(delete);
        Finish(operation, answer);
    }

    private static void Finish(Plain operation, byte[] answer)
    {
        operation.Submit();
        operation.WriteResponse(answer.AsSpan(0, operation.PrepareResponse()));
        operation.Release();
    }

    private sealed class Plain(IHengeNode node) : KvOperation(node)
    {
        public void Submit() => Node.Submit(this);

        protected override void OnCompleted() => Version = new Core.Version(1234567);
    }

    /// <summary>Answers everything at once with one value.</summary>
    private sealed unsafe class EmptyNode : IHengeNode, IPinOwner
    {
        private readonly byte* _value = (byte*)System.Runtime.InteropServices.NativeMemory.AllocZeroed(64);

        public NodeLimits Limits { get; } = new();

        public long MonotonicMs => 0;

        public Core.Version Now => new(1UL << 40);

        public Core.Version OldestVersion => default;

        event Action? IHengeNode.TopologyChanged
        {
            add => throw new NotSupportedException();
            remove => throw new NotSupportedException();
        }

        public void Submit(Operation operation) => operation.Complete();

        public void Submit(ReadOnlySpan<Operation> operations) => throw new NotSupportedException();

        public bool TryRead(Operation get, out PinnedValue value)
        {
            value = new PinnedValue(this, 0, _value, 64, new Core.Version(77), long.MaxValue / 2);
            return true;
        }

        public void Unpin(nint token) => ArgumentOutOfRangeException.ThrowIfNotEqual(token, 0);

        public ScanEnd Scan(in ScanQuery query, IScanReceiver receiver) => throw new NotSupportedException();

        public ScanEnd History(ReadOnlyMemory<byte> key, Core.Version newest, int limit, IScanReceiver receiver) =>
            throw new NotSupportedException();

        public IWatch OpenWatch(WatchQuery query, Action onAvailable) => throw new NotSupportedException();

        public NodeStatus GetStatus() => throw new NotSupportedException();

        public Topology GetTopology() => throw new NotSupportedException();

        public void Join(Henge.Node.Api.JoinRequest request, long deadlineMs, Action<JoinAnswer?, HengeException?> answered) =>
            throw new NotSupportedException();

        public void Change(
            Henge.Node.Api.ClusterChange change,
            long deadlineMs,
            Action<Henge.Node.Api.ClusterChangeAnswer?, HengeException?> answered) =>
            throw new NotSupportedException();

        public Henge.Node.Api.IClusterRecovery Recovery => throw new NotSupportedException();

        public Henge.Node.Api.PlacementStatus GetPlacement() => throw new NotSupportedException();

        public void TransferLeader(ShardId shard, NodeId to) => throw new NotSupportedException();
    }

    /// <summary>Nothing is checked, and nobody tells who used which keys.</summary>
    private sealed class OpenAccess : IAccessControl
    {
        public AccessView Access => AccessView.None;

        public event Action? AccessChanged
        {
            add => throw new NotSupportedException();
            remove => throw new NotSupportedException();
        }

        public void ChangeAccess(AccessChange change, long deadlineMs, Action<HengeException?> ended) => throw new NotSupportedException();
    }
}
