using System.Text;
using Henge.Core;
using Henge.Node.Access;
using Henge.Server.Access;
using Microsoft.AspNetCore.Identity;

namespace Henge.Fuzz.Targets;

/// <summary>What says who somebody is, and what the catalog says of it.</summary>
internal static class AccessTargets
{
    private const int Rounds = 10;
    private static readonly OneView Access = new("the key of this cluster, 32 bytes"u8);
    private static readonly Tokens Tokens = new(Access, static () => "fuzzed", TimeProvider.System);
    private static readonly Lazy<string> Good = new(static () => Tokens.Create("ann", TimeSpan.FromDays(1)).Token);
    private static readonly PasswordHasher<string> Hasher =
        new(Microsoft.Extensions.Options.Options.Create(new PasswordHasherOptions { IterationCount = Rounds }));

    // In the form of one: HMAC-SHA-512, ten rounds, a salt, and a key that is no password's.
    private const string FormedHash = "AQAAAAIAAAAKAAAAEAABAgMEBQYHCAkKCwwNDg8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";

    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new("access-token", Token, TokenSeeds) { AllocatedAlways = 1024 * 1024, AllocatedPerByte = 1024 },
        new("access-basic", Basic, static () => DoorTargets.Texts("cm9vdDpzZWNyZXQ=", "Og==", "YTo=", "w6Q6w7Y=")),
        new("access-password-hash", PasswordHash, static () => DoorTargets.Texts(FormedHash, "AQ==", "AAAA", "")),
        new("access-user", User, static () => [
            .. DoorTargets.Texts(new UserRecord("ann", FormedHash, ["reader", "writer"]) { Generation = 7 }.ToText()),
            .. DoorTargets.Texts(new UserRecord("ann", "", []).ToText())]),
        new("access-role", Role, static () => DoorTargets.Texts(
            new RoleRecord("r", [new Grant(Permissions.Read | Permissions.Write, KeyRange.All),
                new Grant(Permissions.Read, KeyRange.Between(new byte[] { 1 }, new byte[] { 2, 255 }))]).ToText())),
    ];

    // Behind an "a", changes of the good token: which sign becomes what. Nobody gets a token by changing one, and none is somebody else's.
    private static void Token(ReadOnlySpan<byte> input)
    {
        string token = Encoding.UTF8.GetString(input);
        if (input.Length > 0 && input[0] == (byte)'a')
        {
            byte[] changed = Encoding.ASCII.GetBytes(Good.Value);
            for (int i = 1; i + 2 < input.Length; i += 3)
            {
                changed[((input[i] << 8) | input[i + 1]) % changed.Length] = input[i + 2];
            }

            token = Encoding.UTF8.GetString(changed);
        }

        Tokens.IsOwn(token);
        Task<(Login? Login, string Problem)> read = Tokens.ReadAsync(token).AsTask();
        FuzzCheck.That(read.Wait(TimeSpan.FromSeconds(30)), "a token takes without end");
        (Login? login, string problem) = read.Result;
        if (login is null)
        {
            FuzzCheck.That(problem.Length > 0, "refused without a reason");
            return;
        }

        // The last sign of a signature has bits that mean nothing; what was signed is what it was.
        string signed = Good.Value[..Good.Value.LastIndexOf('.')];
        FuzzCheck.That(
            token.StartsWith(signed + ".", StringComparison.Ordinal) && login is { User: "ann", Generation: 1, IsNode: false },
            "a token that was not given is good");
    }

    // The node's clock is the machine's, so none of these is the same twice but for the first.
    private static IEnumerable<byte[]> TokenSeeds() => DoorTargets.Texts(
        "a", "a\0\x05x\x01\0y", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290IiwiaXNzIjoiaGVuZ2U6ZnV6emVkIn0.", "a.b.c", "..",
        "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJoZW5nZTpmdXp6ZWQiLCJzdWIiOiJyb290IiwiZ2VuIjoiMSIsImV4cCI6NDEwMjQ0NDgwMH0.AAAA");

    private static void Basic(ReadOnlySpan<byte> input)
    {
        try
        {
            (string user, string password) = CallerHandler.Decode(Encoding.UTF8.GetString(input));
            FuzzCheck.That(
                user.Length > 0 && !user.Contains(':', StringComparison.Ordinal) && password is not null,
                "a user without a name");
        }
        catch (HengeException e) when (e.Code == ErrorCode.Unauthenticated)
        {
            // As documented.
        }
    }

    private static void PasswordHash(ReadOnlySpan<byte> input)
    {
        string hash = Encoding.UTF8.GetString(input);
        if (!PasswordHashes.IsHash(hash))
        {
            return;
        }

        // More rounds are more work, and no other.
        byte[] bytes = Convert.FromBase64String(hash);
        (bytes[5], bytes[6], bytes[7], bytes[8]) = (0, 0, 0, Rounds);
        FuzzCheck.That(
            Hasher.VerifyHashedPassword("", Convert.ToBase64String(bytes), "guess") == PasswordVerificationResult.Failed,
            "a guess is the password of a hash that was made up");
    }

    private static void User(ReadOnlySpan<byte> input)
    {
        if (UserRecord.Parse("ann", input) is { } user)
        {
            UserRecord? again = UserRecord.Parse("ann", Encoding.UTF8.GetBytes(user.ToText()));
            FuzzCheck.That(
                again is not null && again.PasswordHash == user.PasswordHash && again.Generation == user.Generation
                    && again.Roles.SequenceEqual(user.Roles),
                "a user that is written is another one when it is read");
            AccessView view = AccessView.Of(true, new Core.Version(1), [], [("ann", user)]);
            FuzzCheck.That(!view.Allows("ann", Permissions.Read, "k"u8, "k\0"u8), "a user whose roles there are not may read");
        }
    }

    private static void Role(ReadOnlySpan<byte> input)
    {
        if (RoleRecord.Parse("r", input) is { } role)
        {
            RoleRecord? again = RoleRecord.Parse("r", Encoding.UTF8.GetBytes(role.ToText()));
            FuzzCheck.That(again is not null && again.ToText() == role.ToText(), "a role that is written is another one when it is read");
            AccessView view = AccessView.Of(
                true,
                new Core.Version(1),
                [("r", role)],
                [("ann", new UserRecord("ann", "", ["r"])), ("bob", new UserRecord("bob", "", []))]);
            bool allowed = role.Grants.Any(static g => (g.Permissions & Permissions.Write) != 0
                && "k"u8.SequenceCompareTo(g.Range.Start.Span) >= 0
                && (g.Range.End.IsEmpty || "k"u8.SequenceCompareTo(g.Range.End.Span) < 0));
            FuzzCheck.That(view.Allows("ann", Permissions.Write, "k"u8, "k\0"u8) == allowed, "a role allows other than its grants");
            FuzzCheck.That(!view.Allows("bob", Permissions.Write, "k"u8, "k\0"u8), "a role is of somebody who does not have it");
        }
    }

    private sealed class OneView(ReadOnlySpan<byte> key) : IAccessControl
    {
        public event Action? AccessChanged
        {
            add { }
            remove { }
        }

        public AccessView Access { get; } = AccessView.Of(
            true,
            new Core.Version(1),
            [],
            [("ann", new UserRecord("ann", "", []) { Generation = 1 }), ("root", new UserRecord("root", "", []) { Generation = 1 })],
            key.ToArray());

        public void ChangeAccess(AccessChange change, long deadlineMs, Action<HengeException?> ended) =>
            throw new FuzzFailureException("a token changes access");
    }
}
