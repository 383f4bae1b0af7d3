using System.Net;
using Henge.Core;
using Henge.Server.Hosting;
using Henge.Server.Tls;

namespace Henge.Server.Tests.Hosting;

public sealed class SecuritySettingsTests
{
    private static readonly DoorOptions Door = new() { Address = "x:1" };

    private static string? Refusal(string address, DoorOptions door, bool knowsCallers = false)
    {
        try
        {
            SecuritySettings.CheckListening(door, IPAddress.Parse(address), SecuritySettings.TlsOf(door), knowsCallers);
            return null;
        }
        catch (HengeException e) when (e.Code == ErrorCode.Misconfigured)
        {
            return e.Message;
        }
    }

    [Theory]
    [InlineData("127.0.0.1", true)]
    [InlineData("127.3.2.1", true)]
    [InlineData("::1", true)]
    [InlineData("::ffff:127.0.0.1", true)]
    [InlineData("0.0.0.0", false)]
    [InlineData("::", false)]
    [InlineData("10.0.0.1", false)]
    [InlineData("::ffff:10.0.0.1", false)]
    [InlineData("fe80::1", false)]
    public void Only_loopback_needs_nothing(string address, bool isFine)
    {
        Assert.Equal(isFine, Refusal(address, Door) is null);
        Assert.Null(Refusal(address, Door with { IsInsecure = true }));

        DoorOptions tls = Door with { TlsCertificateFile = "cert" };
        Assert.Equal(isFine, Refusal(address, tls) is null);
        Assert.Equal(isFine, Refusal(address, tls with { TlsAuthorityFile = "ca", TlsClientAuthentication = TlsClientAuthentication.None })
            is null);
        Assert.Equal(
            isFine, Refusal(address, tls with { TlsAuthorityFile = "ca", TlsClientAuthentication = TlsClientAuthentication.Optional })
                is null);
        Assert.Null(Refusal(address, tls with { TlsAuthorityFile = "ca" }));

        // Another way to know who calls is worth nothing in the clear.
        Assert.Null(Refusal(address, tls, knowsCallers: true));
        Assert.Equal(isFine, Refusal(address, Door, knowsCallers: true) is null);
    }

    [Fact]
    public void The_refusal_names_three_ways_out()
    {
        string message = Refusal("10.0.0.1", Door)!;
        Assert.Contains("henge cert create-ca", message);
        Assert.Contains("your own certificates", message);
        Assert.Contains("--insecure", message);
    }

    [Fact]
    public void A_server_without_its_host_keeps_to_the_rule_as_well()
    {
        using Fakes.FakeNode node = new();
        Assert.Throws<HengeException>(() => new HengeServer(node, new DoorOptions { Address = "0.0.0.0:0" }));
    }

    [Fact]
    public void Clients_need_a_certificate_as_soon_as_there_is_an_authority()
    {
        DoorOptions tls = Door with { TlsCertificateFile = "cert" };
        Assert.Equal(TlsClientAuthentication.None, SecuritySettings.TlsOf(tls)!.ClientAuthentication);
        Assert.Equal(TlsClientAuthentication.Require, SecuritySettings.TlsOf(tls with { TlsAuthorityFile = "ca" })!.ClientAuthentication);
        Assert.Null(SecuritySettings.TlsOf(Door));
    }
}
