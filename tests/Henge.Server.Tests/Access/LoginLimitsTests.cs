using System.Net;
using Henge.Core;
using Henge.Server.Access;

namespace Henge.Server.Tests.Access;

/// <summary>How often somebody may be wrong.</summary>
public sealed class LoginLimitsTests
{
    private static readonly IPEndPoint Here = new(IPAddress.Parse("192.0.2.1"), 1), There = new(IPAddress.Parse("192.0.2.2"), 1);

    [Fact]
    public void One_address_may_be_wrong_so_often_about_a_user_and_others_are_not_kept_out()
    {
        using LoginLimits limits = new(ofUser: 3, ofAddress: 5);
        for (int i = 0; i < 3; i++)
        {
            limits.Check("ann", Here);
            limits.OnWrong("ann", Here);
        }

        Assert.Equal(ErrorCode.ResourceExhausted, Assert.Throws<HengeException>(() => limits.Check("ann", Here)).Code);
        limits.Check("ann", There);
        limits.Check("bob", Here);
    }

    [Fact]
    public void One_address_may_be_wrong_so_often_about_all_users()
    {
        using LoginLimits limits = new(ofUser: 3, ofAddress: 5);
        for (int i = 0; i < 5; i++)
        {
            limits.Check($"user{i}", Here);
            limits.OnWrong($"user{i}", Here);
        }

        Assert.Throws<HengeException>(() => limits.Check("another", Here));
        limits.Check("another", There);
    }

    [Fact]
    public void A_machine_is_all_addresses_of_its_network()
    {
        using LoginLimits limits = new(ofUser: 1, ofAddress: 100);
        limits.OnWrong("ann", new IPEndPoint(IPAddress.Parse("2001:db8::1"), 1));
        Assert.Throws<HengeException>(() => limits.Check("ann", new IPEndPoint(IPAddress.Parse("2001:db8::2"), 2)));
        limits.Check("ann", new IPEndPoint(IPAddress.Parse("2001:db8:1::1"), 1));
    }
}
