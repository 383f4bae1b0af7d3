namespace Henge.Node.StateMachine;

/// <summary>
/// What a command does. The numbers are in the log and on the wire: never change one (docs/formats.md, "Commands and entries").
/// </summary>
public enum CommandKind : byte
{
    /// <summary>Write one key, maybe on a condition.</summary>
    Put = 1,
    /// <summary>Delete one key, maybe on a condition.</summary>
    Delete = 2,
    /// <summary>Compare, then do the one list of commands or the other, at one version.</summary>
    Txn = 3,
    /// <summary>Read one key; useful inside of a transaction.</summary>
    Get = 4,
    /// <summary>Add to a value that is a 64-bit integer in decimal text.</summary>
    Increment = 5,
    /// <summary>Add to a value that is a number in decimal text.</summary>
    IncrementFloat = 6,
    /// <summary>Add bytes at the end of a value.</summary>
    Append = 7,
    /// <summary>Set, or take away, the expiry of a key that exists.</summary>
    SetExpiry = 8,
    /// <summary>Write several keys at one version.</summary>
    MultiPut = 9,
    /// <summary>Delete several keys at one version.</summary>
    MultiDelete = 10,
    /// <summary>The node's own: delete a key whose time has come.</summary>
    DeleteExpired = 11,
    /// <summary>Set fields of a hash.</summary>
    HashSet = 12,
    /// <summary>Delete fields of a hash; a hash without fields is gone.</summary>
    HashDelete = 13,
    /// <summary>Add to a field that is a 64-bit integer in decimal text.</summary>
    HashIncrement = 14,
    /// <summary>Add to a field that is a number in decimal text.</summary>
    HashIncrementFloat = 15,
    /// <summary>Write over a part of a value.</summary>
    SetRange = 16,
    /// <summary>Set one bit of a value.</summary>
    SetBit = 17,
    /// <summary>Give an entry, with its type and expiry, to another key of the shard.</summary>
    Move = 18,
    /// <summary>As <see cref="Put"/>, and the value is a whole hash.</summary>
    PutHash = 19,
}

/// <summary>What a put asks of the key before it writes. The numbers are in the log.</summary>
public enum PutCondition : byte
{
    /// <summary>Nothing.</summary>
    None = 0,
    /// <summary>The key is at a version; version 0 means that it does not exist.</summary>
    IfVersion = 1,
    /// <summary>The key does not exist.</summary>
    IfAbsent = 2,
    /// <summary>The key exists.</summary>
    IfPresent = 3,
    /// <summary>The key exists and its value equals some bytes.</summary>
    IfValue = 4,
    /// <summary>The key does not exist, or its value does not equal some bytes.</summary>
    IfNotValue = 5,
    /// <summary>The key exists and its value has a digest (<see cref="ValueDigest"/>).</summary>
    IfDigest = 6,
    /// <summary>The key does not exist, or its value does not have a digest.</summary>
    IfNotDigest = 7,
}

/// <summary>How an expiry is given. The numbers are in the log.</summary>
public enum ExpiryMode : byte
{
    /// <summary>The key does not expire.</summary>
    Never = 0,
    /// <summary>So many milliseconds after the version at which the command is applied.</summary>
    After = 1,
    /// <summary>At a moment, in milliseconds since the epoch of versions.</summary>
    At = 2,
}

/// <summary>What <see cref="CommandKind.SetExpiry"/> asks of the expiry that the key has. The numbers are in the log.</summary>
public enum ExpiryCondition : byte
{
    /// <summary>Nothing.</summary>
    None = 0,
    /// <summary>The key has no expiry.</summary>
    IfNone = 1,
    /// <summary>The key has an expiry.</summary>
    IfSome = 2,
    /// <summary>The new expiry is later; no expiry counts as the latest.</summary>
    IfLater = 3,
    /// <summary>The new expiry is earlier; no expiry counts as the latest.</summary>
    IfEarlier = 4,
}

/// <summary>How two things are compared. The numbers are in the log.</summary>
public enum CompareRelation : byte
{
    /// <summary>Left equals right.</summary>
    Equal = 0,
    /// <summary>Left does not equal right.</summary>
    NotEqual = 1,
    /// <summary>Left is less than right.</summary>
    Less = 2,
    /// <summary>Left is greater than right.</summary>
    Greater = 3,
}

/// <summary>What of a key a transaction compares. The numbers are in the log.</summary>
public enum CompareTarget : byte
{
    /// <summary>The version that wrote the key; 0 when it does not exist.</summary>
    Version = 0,
    /// <summary>The value, bytewise; a key that does not exist, or holds a hash, is only NotEqual to any value.</summary>
    Value = 1,
    /// <summary>Whether the key exists: Equal to 1 or to 0.</summary>
    Existence = 2,
    /// <summary>
    /// Whether the key was written to or deleted after a version, even if nothing of that is left; only Equal, which says that it was not
    /// (docs/decisions/0185).
    /// </summary>
    Unwritten = 3,
}

/// <summary>When a value ends.</summary>
/// <param name="Mode">How it is given.</param>
/// <param name="Milliseconds">Milliseconds, by mode; 0 for <see cref="ExpiryMode.Never"/>.</param>
public readonly record struct Expiry(ExpiryMode Mode, long Milliseconds)
{
    /// <summary>No expiry.</summary>
    public static Expiry Never => default;

    /// <summary>So many milliseconds (more than 0) after the version of the write.</summary>
    public static Expiry After(long milliseconds) => new(ExpiryMode.After, milliseconds);

    /// <summary>At a moment in milliseconds since the epoch of versions; one that has passed makes the write a deletion.</summary>
    public static Expiry At(long milliseconds) => new(ExpiryMode.At, Math.Max(1, milliseconds));

    /// <summary>The moment in milliseconds since the epoch of versions when written at a version; 0 for never.</summary>
    internal long Resolve(Core.Version version) => Mode switch
    {
        ExpiryMode.After => Math.Min(version.Milliseconds + Math.Min(Milliseconds, CommandLimits.MaxExpiryMs), CommandLimits.MaxExpiryMs),
        ExpiryMode.At => Math.Min(Milliseconds, CommandLimits.MaxExpiryMs),
        _ => 0,
    };
}

/// <summary>
/// What a client knows of a request in a session. It tells a session that has ended apart from one that begins (docs/decisions/0134). The
/// numbers are in the log and on the wire.
/// </summary>
[Flags]
public enum SessionFlags : byte
{
    /// <summary>Nothing is said: a session that is not known begins.</summary>
    None = 0,
    /// <summary>An earlier attempt of this request may have been done.</summary>
    Retry = 1,
    /// <summary>The client has had an answer in this session.</summary>
    Continues = 2,
}

/// <summary>
/// Who sent a command, so that a retry takes effect at most once: a client's number, which it chose at random, and its number of the
/// request, which it raises with each new one.
/// </summary>
/// <param name="ClientId">The client; 0: no session.</param>
/// <param name="Sequence">The request, from 1 to <see cref="MaxSequence"/>.</param>
/// <param name="Flags">What the client knows of the request and of the session.</param>
public readonly record struct SessionStamp(ulong ClientId, ulong Sequence, SessionFlags Flags = SessionFlags.None)
{
    /// <summary>Bits of a sequence number; the two above hold the flags.</summary>
    internal const int SequenceBits = 62;

    /// <summary>The largest sequence number.</summary>
    public const ulong MaxSequence = (1UL << SequenceBits) - 1;

    /// <summary>No session: a retry may take effect twice.</summary>
    public static SessionStamp None => default;

    /// <summary>True without a session: one of both numbers is 0.</summary>
    public bool IsNone => ClientId == 0 || Sequence == 0;
}

/// <summary>How <see cref="CommandKind.Put"/> writes.</summary>
public readonly record struct PutOptions
{
    /// <summary>When the value ends.</summary>
    public Expiry Expiry { get; init; }

    /// <summary>Keep the expiry that the key has; not together with <see cref="Expiry"/>.</summary>
    public bool KeepExpiry { get; init; }

    /// <summary>What must hold.</summary>
    public PutCondition Condition { get; init; }

    /// <summary>For <see cref="PutCondition.IfVersion"/>.</summary>
    public Core.Version IfVersion { get; init; }

    /// <summary>For conditions on the value: the bytes, or the digest as 8 bytes LE.</summary>
    public ReadOnlyMemory<byte> Comparand { get; init; }

    /// <summary>What the value is. A hash must be well formed (<see cref="HashReader.IsWellFormed"/>).</summary>
    public Henge.Storage.DataType Type { get; init; }

    /// <summary>
    /// The result carries the value before, also when the condition failed. A value that is not plain bytes is refused then (WrongKind).
    /// </summary>
    public bool ReturnPrevious { get; init; }
}
