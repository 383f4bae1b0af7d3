using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Henge.Cluster;

/// <summary>
/// A consistent-hash ring (Karger et al., 1997): each member stands on it at <see cref="PointsPerMember"/> points,
/// <c>SHA-256("member#i")</c> read as a big-endian integer, modulo 2^32. Immutable; the same members give the same ring in any order.
/// </summary>
public sealed class HashRing
{
    /// <summary>Points of each member; with 150, loads of five members differ by about a tenth from the mean.</summary>
    public const int PointsPerMember = 150;

    private readonly uint[] _positions;
    private readonly int[] _owners;

    /// <summary>Puts members on a ring. A name that occurs twice is an <see cref="ArgumentException"/>.</summary>
    public HashRing(IEnumerable<string> members)
    {
        Members = [.. members.Order(StringComparer.Ordinal)];
        for (int i = 1; i < Members.Count; i++)
        {
            if (Members[i] == Members[i - 1])
            {
                throw new ArgumentException($"'{Members[i]}' is on the ring twice.", nameof(members));
            }
        }

        // Points that fall together are ordered by the member's name, so that every node sees the same ring.
        var points = new (uint Position, int Owner)[Members.Count * PointsPerMember];
        for (int owner = 0; owner < Members.Count; owner++)
        {
            for (int i = 0; i < PointsPerMember; i++)
            {
                points[(owner * PointsPerMember) + i] = (PointOf(Members[owner], i), owner);
            }
        }

        Array.Sort(points);
        _positions = Array.ConvertAll(points, static p => p.Position);
        _owners = Array.ConvertAll(points, static p => p.Owner);
    }

    /// <summary>The members, in ordinal order.</summary>
    public IReadOnlyList<string> Members { get; }

    /// <summary>The position of one point of a member.</summary>
    public static uint PointOf(string member, int index)
    {
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(member + "#" + index.ToString(CultureInfo.InvariantCulture)), digest);

        // The lowest 32 bits of a big-endian integer are its last four bytes.
        return BinaryPrimitives.ReadUInt32BigEndian(digest[^4..]);
    }

    /// <summary>The member at or next after a position, clockwise.</summary>
    public string OwnerOf(uint position) =>
        Members.Count == 0 ? throw new InvalidOperationException("The ring has no members.") : Members[_owners[FirstPoint(position)]];

    /// <summary>All members in the order in which they are first met going clockwise from a position.</summary>
    public IReadOnlyList<string> Clockwise(uint position)
    {
        var order = new List<string>(Members.Count);
        var seen = new bool[Members.Count];
        for (int i = 0, at = Members.Count == 0 ? 0 : FirstPoint(position); order.Count < Members.Count; i++)
        {
            int owner = _owners[(at + i) % _owners.Length];
            if (!seen[owner])
            {
                seen[owner] = true;
                order.Add(Members[owner]);
            }
        }

        return order;
    }

    private int FirstPoint(uint position)
    {
        int at = Array.BinarySearch(_positions, position);
        if (at < 0)
        {
            return ~at % _positions.Length;
        }

        while (at > 0 && _positions[at - 1] == position)
        {
            at--;
        }

        return at;
    }
}
