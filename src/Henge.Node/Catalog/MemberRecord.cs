using System.Globalization;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;

namespace Henge.Node.Catalog;

/// <summary>
/// What the catalog has of a member under <c>member/&lt;number&gt;</c>, one item a line (docs/formats.md, "Catalog"). Immutable.
/// </summary>
internal sealed record MemberRecord
{
    /// <summary>The longest name.</summary>
    public const int MaxNameLength = 64;

    /// <summary>The longest zone.</summary>
    public const int MaxZoneLength = 64;

    /// <summary>The highest weight.</summary>
    public const int MaxWeight = 10_000;

    private const int MaxTextLength = 4_096;

    /// <summary>Its number.</summary>
    public required NodeId Id { get; init; }

    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>Where it is reached.</summary>
    public required string Address { get; init; }

    /// <summary>Which data directory it runs with; 0 only for a founder that has not said so yet.</summary>
    public required ulong Incarnation { get; init; }

    /// <summary>Where it stands.</summary>
    public required MemberState State { get; init; }

    /// <summary>
    /// It was still joining when it was told to leave: if that is cancelled it has to catch up first, as it has nothing of the catalog yet.
    /// </summary>
    public bool LeftWhileJoining { get; init; }

    /// <summary>Its zone; may be empty.</summary>
    public string Zone { get; init; } = "";

    /// <summary>Its weight.</summary>
    public int Weight { get; init; } = MemberInfo.DefaultWeight;

    /// <summary>Lines that this build does not know: whoever changes the record keeps them.</summary>
    public string Rest { get; init; } = "";

    /// <summary>The version of the entry; zero for one that is not written yet.</summary>
    public Core.Version Version { get; init; }

    /// <summary>
    /// It is not written yet: a founder that has never been up, or was lost between saying with which directory it runs and writing its
    /// entry.
    /// </summary>
    public bool IsAbsent => Version == default;

    /// <summary>The same in another state.</summary>
    public MemberRecord In(MemberState state) => this with
    {
        State = state,
        LeftWhileJoining = state == MemberState.Leaving && (LeftWhileJoining || State == MemberState.Joining),
    };

    /// <summary>The key of a member's entry.</summary>
    public static byte[] KeyOf(NodeId id) =>
        Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{CatalogKeys.Member}{id.Value}"));

    /// <summary>Its value.</summary>
    public string ToText()
    {
        var text = new StringBuilder();
        text.Append(
            CultureInfo.InvariantCulture,
            $"name {Name}\naddress {Address}\nincarnation {Incarnation:x16}\nstate {TextOf(State)}\nweight {Weight}\n");
        if (Zone.Length > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"zone {Zone}\n");
        }

        return text.Append(LeftWhileJoining ? "was joining\n" : "").Append(Rest).ToString();
    }

    /// <summary>Reads an entry; null when it makes no sense.</summary>
    public static MemberRecord? Parse(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version)
    {
        if (
            value.Length > MaxTextLength
            || !ulong.TryParse(key[CatalogKeys.Member.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out ulong number)
            || number is 0 or > MemberTable.MostIds)
        {
            return null;
        }

        string name = "", address = "", zone = "", rest = "";
        ulong incarnation = 0;
        bool wasJoining = false;
        MemberState? state = null;
        int weight = MemberInfo.DefaultWeight;
        foreach (string line in Encoding.UTF8.GetString(value).Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            int blank = line.IndexOf(' ', StringComparison.Ordinal);
            string item = blank < 0 ? line : line[..blank];
            string text = blank < 0 ? "" : line[(blank + 1)..];
            switch (item)
            {
                case "name":
                    name = text;
                    break;
                case "address":
                    address = text;
                    break;
                case "incarnation":
                    _ = ulong.TryParse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out incarnation);
                    break;
                case "state":
                    state = StateOf(text);
                    break;
                case "zone":
                    zone = text;
                    break;
                case "was" when text == "joining":
                    wasJoining = true;
                    break;
                case "weight":
                    _ = int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out weight);
                    break;
                default:
                    rest += line + "\n";
                    break;
            }
        }

        return name.Length is > 0 and <= MaxNameLength && address.Length <= 255 && incarnation != 0 && state is { } known
            && zone.Length <= MaxZoneLength && weight is >= 1 and <= MaxWeight
            ? new MemberRecord
            {
                Id = new NodeId(number),
                Name = name,
                Address = address,
                Incarnation = incarnation,
                State = known,
                LeftWhileJoining = wasJoining,
                Zone = zone,
                Weight = weight,
                Rest = rest,
                Version = version,
            }
            : null;
    }

    /// <summary>A state as it is written.</summary>
    public static string TextOf(MemberState state) => state switch
    {
        MemberState.Joining => "joining",
        MemberState.Up => "up",
        MemberState.Draining => "draining",
        MemberState.Leaving => "leaving",
        _ => "left",
    };

    private static MemberState? StateOf(string text) => text switch
    {
        "joining" => MemberState.Joining,
        "up" => MemberState.Up,
        "draining" => MemberState.Draining,
        "leaving" => MemberState.Leaving,
        "left" => MemberState.Left,
        _ => null,
    };
}
