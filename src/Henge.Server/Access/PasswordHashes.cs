using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using Henge.Core;
using Henge.Node.Access;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;

namespace Henge.Server.Access;

/// <summary>
/// Hashes passwords and compares them, on threads of its own: it is work by design, and must take none from those that serve. So many at
/// once as it has threads, and so many waiting; more is refused. Thread-safe.
/// </summary>
/// <remarks>
/// PBKDF2 with HMAC-SHA-512, a random salt of 128 bits and <see cref="Iterations"/> rounds, as OWASP's Password Storage Cheat Sheet
/// recommends for it; the format is ASP.NET Core Identity's, which carries its parameters.
/// </remarks>
internal sealed class PasswordHashes : IDisposable
{
    /// <summary>Rounds of PBKDF2 for a new hash.</summary>
    public const int Iterations = 210_000;

    /// <summary>
    /// Fewest characters of a new password (NIST SP 800-63B; etcd took passwords of one character, CVE-2020-15115).
    /// </summary>
    public const int MinPasswordLength = 8;

    /// <summary>Most characters of a password: what is hashed has to be bounded, too.</summary>
    public const int MaxPasswordLength = 1024;

    // More than any build will take for long, and still no work without end.
    private const int MostIterations = 10 * Iterations;
    private const int HeaderBytes = 13;
    private const int ShortestPart = 16;

    private readonly PasswordHasher<string> _hasher;
    private readonly BlockingCollection<Action> _waiting;
    private readonly Thread[] _threads;

    // Compared with for users that there are not, so that the time tells nothing of who there is.
    private readonly Lazy<string> _nobodys;

    /// <summary>Starts the threads.</summary>
    /// <param name="threads">How many; 0: a quarter of the processors, at least one.</param>
    /// <param name="waiting">Most that wait.</param>
    /// <param name="iterations">Rounds of a new hash; fewer only for tests.</param>
    public PasswordHashes(int threads = 0, int waiting = 64, int iterations = Iterations)
    {
        _hasher = new PasswordHasher<string>(Options.Create(new PasswordHasherOptions { IterationCount = iterations }));
        _waiting = new BlockingCollection<Action>(waiting);
        _nobodys = new Lazy<string>(() => _hasher.HashPassword("", Convert.ToHexString(RandomNumberGenerator.GetBytes(16))));
        _threads = [.. Enumerable.Range(0, threads > 0 ? threads : Math.Max(1, Environment.ProcessorCount / 4)).Select(_ => Start())];
    }

    /// <summary>
    /// A hash of a new password. Throws <see cref="HengeException"/> (InvalidArgument, ResourceExhausted).
    /// </summary>
    public Task<string> HashAsync(string password)
    {
        if (password.Length < MinPasswordLength)
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                $"A new password has {MinPasswordLength} to {MaxPasswordLength} characters. Give a longer one.");
        }

        Check(password);
        return RunAsync(() => _hasher.HashPassword("", password));
    }

    /// <summary>Whether a password is that of a hash; never for an empty hash. Throws <see cref="HengeException"/> as above.</summary>
    public Task<bool> VerifyAsync(string hash, string password)
    {
        Check(password);
        return RunAsync(() =>
        {
            bool isHash = IsHash(hash);
            bool isRight = _hasher.VerifyHashedPassword("", isHash ? hash : _nobodys.Value, password)
                != PasswordVerificationResult.Failed;
            return isRight && isHash;
        });
    }

    /// <summary>
    /// Whether a text is a hash as <see cref="HashAsync"/> makes them, by this build or by another one: the library throws at some that
    /// are none, and works for as many rounds as a hash says. Any other is no password's.
    /// </summary>
    public static bool IsHash(string hash)
    {
        // Version 3 of the format: a mark, the function, the rounds, the length of the salt, the salt, the rest.
        Span<byte> bytes = stackalloc byte[UserRecord.MaxHashLength];
        return hash.Length is > 0 and <= UserRecord.MaxHashLength
            && Convert.TryFromBase64String(hash, bytes, out int length)
            && length >= HeaderBytes + (2 * ShortestPart)
            && bytes[0] == 1
            && BinaryPrimitives.ReadUInt32BigEndian(bytes[1..]) <= 2
            && BinaryPrimitives.ReadUInt32BigEndian(bytes[5..]) is > 0 and <= MostIterations
            && BinaryPrimitives.ReadUInt32BigEndian(bytes[9..]) is >= ShortestPart and var salt
            && salt <= length - HeaderBytes - ShortestPart;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _waiting.CompleteAdding();
        foreach (Thread thread in _threads)
        {
            thread.Join();
        }

        _waiting.Dispose();
    }

    private static void Check(string password)
    {
        if (password.Length is 0 or > MaxPasswordLength)
        {
            throw new HengeException(ErrorCode.InvalidArgument, $"A password has 1 to {MaxPasswordLength} characters.");
        }
    }

    private Task<T> RunAsync<T>(Func<T> work)
    {
        TaskCompletionSource<T> done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        void Run()
        {
            try
            {
                done.SetResult(work());
            }
            catch (Exception e)
            {
                done.SetException(e);
            }
        }

        try
        {
            return _waiting.TryAdd(Run)
                ? done.Task
                : throw new HengeException(ErrorCode.ResourceExhausted, "Too many passwords are being checked here. Try again later.");
        }
        catch (InvalidOperationException e)
        {
            throw new HengeException(ErrorCode.Stopping, "The node is stopping.", e);
        }
    }

    private Thread Start()
    {
        Thread thread = new(() =>
        {
            foreach (Action work in _waiting.GetConsumingEnumerable())
            {
                work();
            }
        })
        {
            IsBackground = true,
            Name = "henge passwords",
            Priority = ThreadPriority.BelowNormal,
        };
        thread.Start();
        return thread;
    }
}
