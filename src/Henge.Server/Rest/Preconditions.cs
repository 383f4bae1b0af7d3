using Henge.Node.StateMachine;
using Henge.Server.Operations;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;

namespace Henge.Server.Rest;

/// <summary>What came of a request's preconditions.</summary>
internal enum PreconditionResult
{
    /// <summary>The request goes on.</summary>
    Met,

    /// <summary>If-Match did not hold: 412.</summary>
    NotMatched,

    /// <summary>If-None-Match did not hold: 304 for GET and HEAD, 412 for others.</summary>
    Matched,
}

/// <summary>
/// If-Match and If-None-Match, by RFC 9110, section 13. A key's entity tag is its version in quotes. The conditions on dates are ignored,
/// as the RFC has it for what has no date of its last modification (sections 13.1.3 and 13.1.4). Immutable; pure functions.
/// </summary>
internal sealed class Preconditions
{
    private readonly IList<EntityTagHeaderValue>? _match;
    private readonly IList<EntityTagHeaderValue>? _ifNone;

    private Preconditions(IList<EntityTagHeaderValue>? match, IList<EntityTagHeaderValue>? noneMatch)
    {
        _match = match;
        _ifNone = noneMatch;
    }

    /// <summary>
    /// Parses both fields. Throws <see cref="Core.HengeException"/> (InvalidArgument) for what is no list of entity tags.
    /// </summary>
    public static Preconditions Parse(StringValues ifMatch, StringValues ifNoneMatch) =>
        new(Tags("If-Match", ifMatch), Tags("If-None-Match", ifNoneMatch));

    /// <summary>The entity tag of a version.</summary>
    public static string ETag(Core.Version version) => "\"" + version + "\"";

    /// <summary>Judges them for a key that is at a version, zero when it does not exist; in the order of section 13.2.2.</summary>
    public PreconditionResult Evaluate(Core.Version current)
    {
        if (_match is not null && !Matches(_match, current, strong: true))
        {
            return PreconditionResult.NotMatched;
        }

        return _ifNone is not null && Matches(_ifNone, current, strong: false) ? PreconditionResult.Matched : PreconditionResult.Met;
    }

    /// <summary>
    /// The condition of a put that says the same, where there is one. False: read the version, evaluate, and write on the condition that
    /// the version is still the same.
    /// </summary>
    public bool TryToCondition(out PutCondition condition, out Core.Version version)
    {
        (condition, version) = (PutCondition.None, default);
        switch (_match, _ifNone)
        {
            case (null, null):
                return true;
            case (null, [{ } none]) when none.Equals(EntityTagHeaderValue.Any):
                condition = PutCondition.IfAbsent;
                return true;
            case ([{ } one], null) when one.Equals(EntityTagHeaderValue.Any):
                condition = PutCondition.IfPresent;
                return true;
            case ([{ IsWeak: false } one], null)
                when ulong.TryParse(one.Tag.AsSpan(1, one.Tag.Length - 2), out ulong number)
                    && number is > 0 and <= Core.Version.MaxValue
                    && one.Tag == ETag(new Core.Version(number)):
                (condition, version) = (PutCondition.IfVersion, new Core.Version(number));
                return true;
            default:
                return false;
        }
    }

    private static bool Matches(IList<EntityTagHeaderValue> tags, Core.Version current, bool strong)
    {
        if (current.IsZero)
        {
            return false;
        }

        EntityTagHeaderValue tag = new(ETag(current));
        foreach (EntityTagHeaderValue one in tags)
        {
            if (one.Equals(EntityTagHeaderValue.Any) || one.Compare(tag, strong))
            {
                return true;
            }
        }

        return false;
    }

    private static IList<EntityTagHeaderValue>? Tags(string name, StringValues field)
    {
        if (field.Count == 0)
        {
            return null;
        }

        return
            EntityTagHeaderValue.TryParseStrictList(field!, out IList<EntityTagHeaderValue>? tags)
            && tags.Count > 0
            && (tags.Count == 1 || !tags.Contains(EntityTagHeaderValue.Any))
            ? tags
            : throw KvValidation.Invalid(
                $"{name} must be *, or entity tags as answers have them, such as \"243702194327552\", with commas between them.");
    }
}
