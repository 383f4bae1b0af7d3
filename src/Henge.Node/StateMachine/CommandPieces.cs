using Henge.Core;

namespace Henge.Node.StateMachine;

/// <summary>
/// Walks the keys that a (checked) command touches, with the values that it would write: its own, those of its comparisons, and those of
/// the commands in both branches.
/// </summary>
internal ref struct CommandPieces
{
    private enum Stage : byte
    {
        One,
        Keys,
        Compares,
        Then,
        Else,
        Done,
    }

    private readonly CommandKind _kind;
    private SpanReader _reader;
    private ulong _left;
    private Stage _stage;

    // A command inside a transaction that itself has several keys.
    private SpanReader _nested;
    private ulong _nestedLeft;
    private CommandKind _nestedKind;

    // The second key of a command that moves an entry.
    private ReadOnlySpan<byte> _target;
    private bool _hasTarget;

    public CommandPieces(scoped in CommandView view)
    {
        _kind = view.Kind;
        Key = view.Key;
        Value = view.Value;
        _reader = new SpanReader(view.Body);
        _stage = view.Kind switch
        {
            CommandKind.Txn => Stage.Compares,
            CommandKind.MultiPut or CommandKind.MultiDelete => Stage.Keys,
            _ => Stage.One,
        };
        _target = view.Field;
        _left = (ulong)view.Parts;
        if (_stage == Stage.Compares)
        {
            _reader.TryReadVarint(out _left);
        }
    }

    public ReadOnlySpan<byte> Key { get; private set; }

    public ReadOnlySpan<byte> Value { get; private set; }

    public bool MoveNext()
    {
        while (true)
        {
            if (_hasTarget)
            {
                _hasTarget = false;
                Key = _target;
                Value = default;
                return true;
            }

            if (_nestedLeft > 0)
            {
                _nestedLeft--;
                Take(ref _nested, _nestedKind);
                return true;
            }

            switch (_stage)
            {
                case Stage.One:
                    _stage = Stage.Done;
                    _hasTarget = _kind == CommandKind.Move;
                    return true;
                case Stage.Keys when _left > 0:
                    _left--;
                    Take(ref _reader, _kind);
                    return true;
                case Stage.Compares when _left > 0:
                    _left--;
                    TxnCompare.TryRead(ref _reader, out TxnCompare compare);
                    Key = compare.Key;
                    Value = compare.Value;
                    return true;
                case Stage.Then or Stage.Else when _left > 0:
                    _left--;
                    if (TakeCommand())
                    {
                        return true;
                    }

                    break;
                case Stage.Compares or Stage.Then:
                    _stage++;
                    _reader.TryReadVarint(out _left);
                    break;
                default:
                    return false;
            }
        }
    }

    private bool TakeCommand()
    {
        _reader.TryReadBytes(out ReadOnlySpan<byte> command);
        CommandView.TryRead(command, nested: true, out CommandView part);
        if (part.Kind is CommandKind.MultiPut or CommandKind.MultiDelete)
        {
            _nested = new SpanReader(part.Body);
            _nestedLeft = (ulong)part.Parts;
            _nestedKind = part.Kind;
            return false;
        }

        Key = part.Key;
        Value = part.Value;
        _target = part.Field;
        _hasTarget = part.Kind == CommandKind.Move;
        return true;
    }

    private void Take(scoped ref SpanReader reader, CommandKind kind)
    {
        reader.TryReadBytes(out ReadOnlySpan<byte> key);
        ReadOnlySpan<byte> value = default;
        if (kind == CommandKind.MultiPut)
        {
            reader.TryReadBytes(out value);
        }

        Key = key;
        Value = value;
    }
}
