using System.Buffers.Binary;
using System.Text;
using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;

namespace Henge.Node.Peers;

/// <summary>
/// Who asked for what goes to another node, and by which revision of users and roles it was let through (docs/formats.md, "Peer frames"),
/// little-endian: <c>flags u8 (1 checked, 2 with a revision, 4 a user, 8 with a generation) | revision u64 | generation u64 | length of the
/// name u8 | name</c>, each only where its flag says so. One byte while the cluster has no users.
/// </summary>
internal readonly ref struct AskerRecord
{
    private const byte Checked = 1, HasRevision = 2, IsUser = 4, HasGeneration = 8;

    /// <summary>Whether a guard let it through; false for what is a node's own.</summary>
    public bool IsChecked { get; private init; }

    /// <summary>The revision by which it was let through; zero when there were no users yet.</summary>
    public Core.Version CheckedAt { get; private init; }

    /// <summary>The user's name; empty: nobody has said who asks.</summary>
    public ReadOnlySpan<byte> Name { get; private init; }

    /// <summary>The generation of the login.</summary>
    public ulong? Generation { get; private init; }

    /// <summary>Bytes of a record.</summary>
    public static int SizeOf(in Asker asker)
    {
        byte flags = FlagsOf(asker);
        return 1
            + ((flags & HasRevision) != 0 ? sizeof(ulong) : 0)
            + ((flags & HasGeneration) != 0 ? sizeof(ulong) : 0)
            + ((flags & IsUser) != 0 ? 1 + asker.User!.Length : 0);
    }

    /// <summary>Writes a record; returns what is behind it.</summary>
    public static Span<byte> Write(Span<byte> span, in Asker asker)
    {
        byte flags = FlagsOf(asker);
        span[0] = flags;
        span = span[1..];
        if ((flags & HasRevision) != 0)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(span, asker.CheckedAt!.Value.Value);
            span = span[sizeof(ulong)..];
        }

        if ((flags & HasGeneration) != 0)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(span, asker.Generation!.Value);
            span = span[sizeof(ulong)..];
        }

        if ((flags & IsUser) != 0)
        {
            span[0] = (byte)asker.User!.Length;
            Encoding.ASCII.GetBytes(asker.User, span[1..]);
            span = span[(1 + asker.User.Length)..];
        }

        return span;
    }

    /// <summary>Reads a record; false when it makes no sense.</summary>
    /// <param name="body">Begins with it.</param>
    /// <param name="asker">It.</param>
    /// <param name="behind">What is behind it.</param>
    public static bool TryRead(ReadOnlySpan<byte> body, out AskerRecord asker, out ReadOnlySpan<byte> behind)
    {
        asker = default;
        behind = default;
        if (body.IsEmpty)
        {
            return false;
        }

        byte flags = body[0];
        ReadOnlySpan<byte> rest = body[1..];
        ulong revision = 0, generation = 0;
        if (
            flags > (Checked | HasRevision | IsUser | HasGeneration)
            || (flags & Checked) != (flags == 0 ? 0 : Checked)
            || (flags & (IsUser | HasGeneration)) == HasGeneration
            || ((flags & HasRevision) != 0 && !TryTake(ref rest, out revision))
            || ((flags & HasGeneration) != 0 && !TryTake(ref rest, out generation))
            || revision > Core.Version.Max.Value
            || (revision == 0 && (flags & HasRevision) != 0))
        {
            return false;
        }

        ReadOnlySpan<byte> name = default;
        if ((flags & IsUser) != 0)
        {
            if (rest.IsEmpty || rest[0] >= rest.Length || !AccessNames.IsUser(rest.Slice(1, rest[0])))
            {
                return false;
            }

            name = rest.Slice(1, rest[0]);
            rest = rest[(1 + name.Length)..];
        }

        asker = new AskerRecord
        {
            IsChecked = (flags & Checked) != 0,
            CheckedAt = new Core.Version(revision),
            Name = name,
            Generation = (flags & HasGeneration) != 0 ? generation : null,
        };
        behind = rest;
        return true;
    }

    /// <summary>The same, to be kept.</summary>
    public Asker ToAsker() => IsChecked ? new Asker(User, Generation, CheckedAt) : default;

    /// <summary>
    /// Says why what another node let through is refused here, by users and roles that are newer than those that it went by; null when it
    /// is not. Refuses also while this node does not know yet who may do what.
    /// </summary>
    public HengeException? Check(AccessView view, Operation operation) =>
        AccessCheck.IsOlder(view, IsChecked, CheckedAt)
            ? AccessCheck.CheckLogin(view, User, Generation) ?? AccessCheck.Check(view, User, operation)
            : null;

    /// <summary>The same of a page.</summary>
    public HengeException? Check(AccessView view, PageFetch page) =>
        AccessCheck.IsOlder(view, IsChecked, CheckedAt)
            ? AccessCheck.CheckLogin(view, User, Generation) ?? AccessCheck.CheckPage(view, User, page)
            : null;

    private string? User => Name.IsEmpty ? null : Encoding.ASCII.GetString(Name);

    // A name that cannot be one is nobody's: access was not checked where it came from.
    private static byte FlagsOf(in Asker asker) => (byte)(
        asker.CheckedAt is not { } revision ? 0
        : Checked
            | (revision.IsZero ? 0 : HasRevision)
            | (asker.User is { } user && AccessNames.Check("user", user) is null ? IsUser : 0)
            | (asker is { User: not null, Generation: not null } ? HasGeneration : 0));

    private static bool TryTake(ref ReadOnlySpan<byte> rest, out ulong number)
    {
        if (!BinaryPrimitives.TryReadUInt64LittleEndian(rest, out number))
        {
            return false;
        }

        rest = rest[sizeof(ulong)..];
        return true;
    }
}
