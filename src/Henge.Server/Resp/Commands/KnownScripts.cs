using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace Henge.Server.Resp.Commands;

/// <summary>What a script does, of the few that Henge knows.</summary>
internal enum ScriptKind : byte
{
    /// <summary>Deletes a key that holds a value: a lock is released.</summary>
    DeleteIfEqual,
    /// <summary>Sets the time to live, in milliseconds, of a key that holds a value: a lock is extended.</summary>
    ExpireIfEqualMs,
    /// <summary>As <see cref="ExpireIfEqualMs"/>, in seconds.</summary>
    ExpireIfEqual,
    /// <summary>
    /// RedLock.net's extension: as <see cref="ExpireIfEqualMs"/>, and takes a lock that nobody holds; -1 when somebody else does.
    /// </summary>
    ExtendOrTake,
    /// <summary>
    /// The set of Microsoft's distributed cache before release 9: a hash of three fields, and its time to live in seconds unless that is
    /// -1.
    /// </summary>
    CacheSet,
}

/// <summary>A script that was recognised, and which of its arguments stands where (KEYS[1] is -1).</summary>
internal sealed record KnownScript(ScriptKind Kind, int Key, int Value, int Time);

/// <summary>
/// Recognises scripts by what they say, whatever their blanks, quotes and comments, so that they can be done as commands of the state
/// machine; Henge has no interpreter for Lua (decision 0149). Thread-safe. Digests of scripts that were seen are kept, the first 1,024 of
/// them; the others must be sent whole.
/// </summary>
internal static partial class KnownScripts
{
    private const int MostBytes = 8 * 1024, MostKept = 1024;
    private const string Operand = @"(?:KEYS\[1\]|ARGV\[\d{1,2}\])";
    private static readonly ConcurrentDictionary<string, KnownScript> ByDigest = new(StringComparer.Ordinal);

    /// <summary>The lower-case digest by which EVALSHA names a script.</summary>
    public static string DigestOf(ReadOnlySpan<byte> script)
    {
        // SHA-1 is what the protocol names scripts by; nothing here rests on its strength.
#pragma warning disable CA5350
        return Convert.ToHexStringLower(SHA1.HashData(script));
#pragma warning restore CA5350
    }

    /// <summary>The script of a digest, if it was seen.</summary>
    public static KnownScript? Find(string digest) => ByDigest.GetValueOrDefault(digest.ToLowerInvariant());

    /// <summary>Recognises a script; null when Henge does not know it.</summary>
    public static KnownScript? Recognise(ReadOnlySpan<byte> script)
    {
        if (script.Length > MostBytes)
        {
            return null;
        }

        string digest = DigestOf(script);
        if (ByDigest.TryGetValue(digest, out KnownScript? known))
        {
            return known;
        }

        known = Match(Normalise(Encoding.UTF8.GetString(script)));
        if (known is not null && ByDigest.Count < MostKept)
        {
            ByDigest[digest] = known;
        }

        return known;
    }

    /// <summary>Forgets all digests.</summary>
    public static void Forget() => ByDigest.Clear();

    internal static string Normalise(string script)
    {
        string text = Comments().Replace(script, " ").Replace('"', '\'').Replace(";", " ", StringComparison.Ordinal);
        text = Blanks().Replace(text, " ").Trim();
        text = AroundSigns().Replace(text, "$1");
        return Calls().Replace(text, static m => m.Value.ToLowerInvariant());
    }

    private static KnownScript? Match(string text)
    {
        if (DeleteText.Match(text) is { Success: true } delete)
        {
            return new KnownScript(ScriptKind.DeleteIfEqual, Place(delete, "k"), Place(delete, "v"), 0);
        }

        if (ExpireText.Match(text) is { Success: true } expire)
        {
            ScriptKind kind = expire.Groups["p"].Length > 0 ? ScriptKind.ExpireIfEqualMs : ScriptKind.ExpireIfEqual;
            return new KnownScript(kind, Place(expire, "k"), Place(expire, "v"), Place(expire, "t"));
        }

        if (TakeText.Match(text) is { Success: true } take)
        {
            return new KnownScript(ScriptKind.ExtendOrTake, Place(take, "k"), Place(take, "v"), Place(take, "t"));
        }

        return CacheText.IsMatch(text) ? new KnownScript(ScriptKind.CacheSet, -1, 3, 2) : null;
    }

    private static int Place(Match match, string group)
    {
        string operand = match.Groups[group].Value;
        return operand[0] == 'K' ? -1 : int.Parse(operand.AsSpan(5, operand.Length - 6), provider: null) - 1;
    }

    [GeneratedRegex(@"--\[\[.*?\]\]|--[^\n]*", RegexOptions.Singleline)]
    private static partial Regex Comments();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();

    [GeneratedRegex(@" ?([(),=~\[\]]+) ?")]
    private static partial Regex AroundSigns();

    [GeneratedRegex(@"redis\.call\('[A-Za-z]+'")]
    private static partial Regex Calls();

    private static readonly Regex DeleteText = new(
        @"^if ?\(?redis\.call\('get',(?<k>"
            + Operand
            + @")\)==(?<v>"
            + Operand
            + @")\)? ?then return redis\.call\('del',\k<k>\) ?(else return 0 end|end return 0)$",
        RegexOptions.Compiled | RegexOptions.CultureInvariant);

    private static readonly Regex ExpireText = new(
        @"^if ?\(?redis\.call\('get',(?<k>"
            + Operand
            + @")\)==(?<v>"
            + Operand
            + @")\)? ?then return redis\.call\('(?<p>p?)expire',\k<k>,(?<t>"
            + Operand
            + @")\) ?(else return 0 end|end return 0)$",
        RegexOptions.Compiled | RegexOptions.CultureInvariant);

    private static readonly Regex TakeText = new(
        @"^local (?<n>\w+)=redis\.call\('get',(?<k>"
            + Operand
            + @")\) ?if ?\(?\k<n>==false\)? ?then return redis\.call\('set',\k<k>,(?<v>"
            + Operand
            + @"),'PX',(?<t>"
            + Operand
            + @")\) ?and 1 or 0 elseif ?\(?\k<n>==\k<v>\)? ?then return redis\.call\('pexpire',\k<k>,\k<t>\) ?else return -1 end$",
        RegexOptions.Compiled | RegexOptions.CultureInvariant);

    private static readonly Regex CacheText = new(
        @"^redis\.call\('hm?set',KEYS\[1\],'absexp',ARGV\[1\],'sldexp',ARGV\[2\],'data',ARGV\[4\]\) ?if ARGV\[3\]~='-1' ?then redis\.call\('expire',KEYS\[1\],ARGV\[3\]\) ?end return 1$",
        RegexOptions.Compiled | RegexOptions.CultureInvariant);
}
