using System.Buffers;
using System.Globalization;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Simulation.Checking;
using Henge.Simulation.World;
using Henge.Storage;

namespace Henge.Simulation.Clients;

/// <summary>
/// One client of hashes in a closed loop: sets, deletes and increments fields, writes plain values over hashes and hashes over plain
/// values, lets keys expire, and reads. Writes with a session are repeated with the same sequence after an unknown outcome.
/// <see cref="HashCheck"/> holds what it saw against a model.
/// </summary>
internal sealed class SimHashes(int number, SimClient runner, SimCluster cluster, SimHistory history)
{
    private const int MaxAttempts = 6;
    private const int LimitBytes = 2048;
    private static readonly string[] Fields = ["a", "b", "n"];
    private readonly SimRandom _random = cluster.World.Random.Fork();
    private readonly ulong _clientId = (ulong)number + 5_001;
    private ulong _sequence;
    private bool _answered;

    private SimWorld World => cluster.World;

    /// <summary>True while an operation is under way.</summary>
    public bool Busy { get; private set; }

    /// <summary>Begins.</summary>
    public void Start() => World.AfterMs(_random.Next(50), Next);

    private void Next()
    {
        if (cluster.ClientsStop)
        {
            return;
        }

        Busy = true;
        byte[] key = _random.Pick(cluster.HashKeys);
        if (_random.PerMille(300))
        {
            Read(key);
        }
        else
        {
            Write(key);
        }
    }

    private void Done()
    {
        Busy = false;
        World.After(_random.Between(100_000, 2 * cluster.RestNs), Next);
    }

    private void Read(byte[] key)
    {
        if (runner.AnyNode() is not { } node)
        {
            Done();
            return;
        }

        long call = history.Instant();
        int epoch = node.Epoch;
        runner.Run(node, o => (o.Kind, o.Key) = (OperationKind.Get, key), get =>
        {
            if (get is { Error: ErrorCode.None } && node.Epoch == epoch && node.Node is not null && !node.IsPaused)
            {
                node.Guard("read", () =>
                {
                    try
                    {
                        HashContent content = default;
                        ulong version = 0;
                        if (node.Node.TryRead(get, out PinnedValue pinned))
                        {
                            using (pinned)
                            {
                                content = HashContent.Of(pinned.Span, pinned.Type);
                                version = pinned.Version.Value;
                            }
                        }

                        history.HashReads.Add(new HashRead(Encoding.ASCII.GetString(key), call, history.Instant(), content, version));
                    }
                    catch (HengeException e) when (node.MayRefuse(e))
                    {
                        // The shard's state is being replaced.
                        cluster.Statistics.Errors++;
                    }
                });
            }

            Done();
        });
    }

    private void Write(byte[] key)
    {
        long id = ++history.LastValue;
        bool session = _random.PerMille(800);
        SessionFlags flags = _answered ? SessionFlags.Continues : SessionFlags.None;
        SessionStamp stamp = session ? new SessionStamp(_clientId, ++_sequence, flags) : default;
        var operation = new HashOperation { Client = number, Key = Encoding.ASCII.GetString(key), Call = history.Instant() };
        var command = new ArrayBufferWriter<byte>();
        Encode(operation, command, key, id, stamp);
        history.HashWrites.Add(operation);
        cluster.Statistics.HashCommands++;
        Attempt(new Sent(operation, key, command.WrittenSpan.ToArray(), session));
    }

    // Every value and every increment says which operation it is of, so that what took effect tells who did it.
    private void Encode(HashOperation operation, ArrayBufferWriter<byte> command, byte[] key, long id, SessionStamp stamp)
    {
        int choice = _random.Next(100);
        byte[] number = Encoding.ASCII.GetBytes(id.ToString(CultureInfo.InvariantCulture));
        if (choice < 30)
        {
            operation.Action = HashAction.Set;
            var fields = new KeyValuePair<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>>[1 + _random.Next(3)];
            for (int i = 0; i < fields.Length; i++)
            {
                fields[i] = new(Name(), _random.PerMille(100) ? [(byte)'x', .. number] : number);
            }

            operation.Pairs.AddRange(fields.Select(static f => (Text(f.Key), Text(f.Value))));
            CommandEncoder.HashSet(command, key, fields, LimitBytes, session: stamp);
        }
        else if (choice < 35)
        {
            operation.Action = HashAction.SetAbsent;
            byte[] name = Name();
            operation.Pairs.Add((Encoding.ASCII.GetString(name), Encoding.ASCII.GetString(number)));
            CommandEncoder.HashSet(command, key, [new(name, number)], LimitBytes, ifAbsent: true, session: stamp);
        }
        else if (choice < 60)
        {
            operation.Action = HashAction.Increment;
            operation.Difference = _random.PerMille(500) ? id : -id;
            byte[] name = _random.PerMille(700) ? "n"u8.ToArray() : Name();
            operation.Pairs.Add((Encoding.ASCII.GetString(name), ""));
            CommandEncoder.HashIncrement(command, key, name, operation.Difference, LimitBytes, stamp);
        }
        else if (choice < 80)
        {
            operation.Action = HashAction.DeleteFields;
            byte[][] names = _random.PerMille(500) ? [Name()] : [.. Fields.Select(static f => Encoding.ASCII.GetBytes(f))];
            operation.Pairs.AddRange(names.Select(static n => (Encoding.ASCII.GetString(n), "")));
            CommandEncoder.HashDelete(command, key, [.. names.Select(static n => (ReadOnlyMemory<byte>)n)], stamp);
        }
        else if (choice < 85)
        {
            bool previous = choice < 83;
            operation.Action = previous ? HashAction.PutForPrevious : HashAction.Put;
            byte[] value = SimValue.Create(id, _random);
            operation.Pairs.Add(("", Encoding.ASCII.GetString(value)));
            CommandEncoder.Put(command, key, value, new PutOptions { ReturnPrevious = previous }, stamp);
        }
        else if (choice < 90)
        {
            operation.Action = HashAction.Expire;
            operation.Difference = _random.PerMille(600) ? _random.Between(50, 2_000) : _random.Between(600_000, 700_000);
            CommandEncoder.SetExpiry(command, key, Expiry.After(operation.Difference), session: stamp);
        }
        else
        {
            operation.Action = HashAction.DeleteKey;
            CommandEncoder.Delete(command, key, session: stamp);
        }
    }

    private byte[] Name() => Encoding.ASCII.GetBytes(_random.Pick(Fields));

    private static string Text(ReadOnlyMemory<byte> bytes) => Encoding.ASCII.GetString(bytes.Span);

    private void Attempt(Sent sent)
    {
        if (runner.AnyNode() is not { } node)
        {
            World.AfterMs(100, () => Again(sent, unknown: false));
            return;
        }

        sent.Attempts++;
        if (sent is { MaybeDone: true, Repeatable: true })
        {
            sent.Command = SimClient.AsRetry(sent.Command);
        }

        runner.Run(node, o => (o.Kind, o.Key, o.Command) = (OperationKind.Write, sent.Key, sent.Command), o =>
        {
            ErrorCode error = o?.Error ?? ErrorCode.UnknownOutcome;
            World.Note("hash", number, (ulong)error, o?.Version.Value ?? 0);
            switch (error)
            {
                case ErrorCode.None or ErrorCode.WrongType:
                    // A type that does not fit is a result, told at a version.
                    Conclude(sent, CommandResult.Of(o!, out _));
                    break;
                case ErrorCode.SessionExpired:
                    End(sent, HashOutcome.Unknown);
                    break;
                default:
                    Again(sent, unknown: error is ErrorCode.UnknownOutcome or ErrorCode.Cancelled or ErrorCode.Internal);
                    break;
            }
        });
    }

    private void Again(Sent sent, bool unknown)
    {
        sent.MaybeDone |= unknown;
        if ((sent.MaybeDone && !sent.Repeatable) || sent.Attempts >= MaxAttempts || cluster.ClientsStop)
        {
            End(sent, sent.MaybeDone ? HashOutcome.Unknown : HashOutcome.Refused);
            return;
        }

        cluster.Statistics.HashRetries += sent.MaybeDone ? 1 : 0;
        World.AfterMs(_random.Between(1, 200), () => Attempt(sent));
    }

    private void Conclude(Sent sent, CommandResult result)
    {
        if (result.Error is ErrorCode.SessionExpired or ErrorCode.ResourceExhausted)
        {
            // Refused now says nothing of an attempt before.
            End(sent, sent.MaybeDone || result.Error == ErrorCode.SessionExpired ? HashOutcome.Unknown : HashOutcome.Refused);
            return;
        }

        _answered |= sent.Repeatable;
        sent.Operation.Result = result;
        End(sent, HashOutcome.Told);
    }

    private void End(Sent sent, HashOutcome outcome)
    {
        sent.Operation.Outcome = outcome;
        sent.Operation.Return = outcome == HashOutcome.Unknown ? long.MaxValue : history.Instant();
        Done();
    }

    private sealed class Sent(HashOperation operation, byte[] key, byte[] command, bool repeatable)
    {
        public HashOperation Operation => operation;

        public byte[] Key => key;

        public byte[] Command { get; set; } = command;

        public bool Repeatable => repeatable;

        public bool MaybeDone { get; set; }

        public int Attempts { get; set; }
    }
}
