using Henge.Core;
using Henge.Server.Hosting;

namespace Henge.Server.Tests.Hosting;

public sealed class ServerAddressesTests
{
    private static ServerOptions Resolve(string address, string advertised = "") => ServerAddresses.Resolve(
        new ServerOptions { Door = new DoorOptions { Address = address }, AdvertisedAddress = advertised });

    [Theory]
    [InlineData("10.0.0.1:7001", "", "10.0.0.1:7001")]
    [InlineData("127.0.0.1:7001", "", "127.0.0.1:7001")]
    [InlineData("0.0.0.0:7001", "127.0.0.1:7001", "127.0.0.1:7001")]
    [InlineData("0.0.0.0:7001", "db.example:7001", "db.example:7001")]
    public void A_node_tells_others_an_address_that_can_be_reached(string address, string advertised, string told)
    {
        ServerOptions options = Resolve(address, advertised);
        Assert.Equal(told, options.Node.Address);
        Assert.Equal(address, options.Door.Address);
    }

    [Theory]
    [InlineData("0.0.0.0:7001", "", "--advertise HOST:PORT")]
    [InlineData("[::]:7001", "", "--advertise HOST:PORT")]
    [InlineData("[::ffff:0.0.0.0]:7001", "", "--advertise HOST:PORT")]
    [InlineData("10.0.0.1:7001", "0.0.0.0:7001", "--advertise HOST:PORT")]
    public void An_address_that_cannot_be_connected_to_is_not_given_to_others(string address, string advertised, string told) =>
        AssertRefused(() => Resolve(address, advertised), told);

    [Theory]
    [InlineData("10.0.0.1:7001", "node1=10.0.0.1:7001,node2=127.0.0.1:7001")]
    [InlineData("127.0.0.1:7001", "node1=127.0.0.1:7001,node2=10.0.0.2:7001")]
    [InlineData("127.0.0.1:7001", "node1=localhost:7001,node2=db.example:7001")]
    [InlineData("0.0.0.0:7001", "node1=127.0.0.1:7001,node2=127.0.0.1:7002")]
    [InlineData("10.0.0.1:7001", "node1=[::1]:7001,node2=127.0.0.1:7002")]
    [InlineData("10.0.0.1:7001", "node1=10.0.0.1:7001,node2=0.0.0.0:7001")]
    public void A_list_with_an_address_that_leads_others_elsewhere_is_refused(string address, string list) =>
        AssertRefused(() => ResolveList(address, list), "cluster names node");

    [Fact]
    public void A_node_of_a_list_is_reached_at_the_address_in_it_and_at_no_other()
    {
        const string List = "node1=10.0.0.1:7001,node2=10.0.0.2:7001";
        Assert.Equal("10.0.0.1:7001", ResolveList("0.0.0.0:7001", List).Node.Address);
        Assert.Equal("10.0.0.1:7001", ResolveList("0.0.0.0:7001", List, "10.0.0.1:7001").Node.Address);
        AssertRefused(() => ResolveList("0.0.0.0:7001", List, "10.0.0.9:7001"), "leave out advertise");
    }

    private static ServerOptions ResolveList(string address, string list, string advertised = "") =>
        ServerAddresses.Resolve(
            ServerConfiguration.Load(
                new Dictionary<string, string>
                {
                    ["addr"] = address,
                    ["cluster"] = list,
                    ["advertise"] = advertised.Length > 0 ? advertised : "unset:1",
                }
                    .Where(s => s.Value != "unset:1")
                    .ToDictionary(),
                null,
                new Dictionary<string, string>()));

    private static void AssertRefused(Action action, string told)
    {
        HengeException e = Assert.Throws<HengeException>(action);
        Assert.Equal(ErrorCode.Misconfigured, e.Code);
        Assert.Contains(told, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Port_0_becomes_a_port_that_is_free_before_anything_is_told_of_it()
    {
        ServerOptions options = Resolve("127.0.0.1:0");
        Assert.Equal(options.Door.Address, options.Node.Address);
        Assert.NotEqual("127.0.0.1:0", options.Node.Address);
    }
}
