namespace Henge.Server.Tests.Hosting;

public sealed class ServerAddressesTests
{
    private static ServerOptions Resolve(string address, string advertised = "") => ServerAddresses.Resolve(
        new ServerOptions { Door = new DoorOptions { Address = address }, AdvertisedAddress = advertised });

    [Theory]
    [InlineData("10.0.0.1:7001", "", "10.0.0.1:7001")]
    [InlineData("0.0.0.0:7001", "", "127.0.0.1:7001")]
    [InlineData("[::]:7001", "", "127.0.0.1:7001")]
    [InlineData("0.0.0.0:7001", "db.example:7001", "db.example:7001")]
    public void A_node_tells_others_an_address_that_can_be_reached(string address, string advertised, string told)
    {
        ServerOptions options = Resolve(address, advertised);
        Assert.Equal(told, options.Node.Address);
        Assert.Equal(address, options.Door.Address);
    }

    [Fact]
    public void Port_0_becomes_a_port_that_is_free_before_anything_is_told_of_it()
    {
        ServerOptions options = Resolve("127.0.0.1:0");
        Assert.Equal(options.Door.Address, options.Node.Address);
        Assert.NotEqual("127.0.0.1:0", options.Node.Address);
    }
}
