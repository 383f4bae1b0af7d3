using System.Net;
using System.Threading.RateLimiting;
using Henge.Core;

namespace Henge.Server.Access;

/// <summary>
/// How often somebody may be wrong: by address, and by user and address together. Never by user alone: whoever knows a name could lock its
/// owner out. Thread-safe.
/// </summary>
internal sealed class LoginLimits : IDisposable
{
    private readonly PartitionedRateLimiter<string> _addresses;
    private readonly PartitionedRateLimiter<(string Address, string User)> _users;

    /// <summary>Creates it.</summary>
    /// <param name="ofUser">How often one address may be wrong about one user, at once; one more every five seconds.</param>
    /// <param name="ofAddress">How often one address may be wrong, at once; one more every second.</param>
    public LoginLimits(int ofUser = 10, int ofAddress = 50)
    {
        _addresses = PartitionedRateLimiter.Create<string, string>(
            address => RateLimitPartition.GetTokenBucketLimiter(address, _ => Bucket(ofAddress, TimeSpan.FromSeconds(1))));
        _users = PartitionedRateLimiter.Create<(string, string), (string, string)>(
            both => RateLimitPartition.GetTokenBucketLimiter(both, _ => Bucket(ofUser, TimeSpan.FromSeconds(5))));
    }

    /// <summary>Throws (ResourceExhausted) when an address has been wrong too often; nothing is checked then.</summary>
    public void Check(string user, EndPoint? from)
    {
        string address = AddressOf(from);

        // A whole one: a bucket fills by fractions, and a lease of none is given while there is any.
        if (_addresses.GetStatistics(address) is { CurrentAvailablePermits: < 1 }
            || _users.GetStatistics((address, user)) is { CurrentAvailablePermits: < 1 })
        {
            throw new HengeException(
                ErrorCode.ResourceExhausted,
                "Too many wrong passwords came from this address. Wait some seconds, and try again.");
        }
    }

    /// <summary>Somebody was wrong.</summary>
    public void OnWrong(string user, EndPoint? from)
    {
        string address = AddressOf(from);
        _addresses.AttemptAcquire(address).Dispose();
        _users.AttemptAcquire((address, user)).Dispose();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _addresses.Dispose();
        _users.Dispose();
    }

    private static TokenBucketRateLimiterOptions Bucket(int most, TimeSpan period) => new()
    {
        TokenLimit = most,
        TokensPerPeriod = 1,
        ReplenishmentPeriod = period,
        QueueLimit = 0,
    };

    // A machine has all addresses of an IPv6 network of 64 bits.
    private static string AddressOf(EndPoint? from)
    {
        if (from is not IPEndPoint { Address: { } address })
        {
            return "";
        }

        address = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 && !IPAddress.IsLoopback(address)
            ? Convert.ToHexString(address.GetAddressBytes().AsSpan(0, 8))
            : address.ToString();
    }
}
