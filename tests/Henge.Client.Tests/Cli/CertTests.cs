using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Henge.Core;
using Microsoft.Extensions.Time.Testing;

namespace Henge.Client.Tests.Cli;

public sealed class CertTests : IDisposable
{
    private static readonly DateTimeOffset Now = new(2031, 3, 4, 5, 6, 7, TimeSpan.Zero);

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("henge-cert-");
    private readonly FakeTimeProvider _time = new(Now);

    public void Dispose() => _directory.Delete(recursive: true);

    private string Certs => Path.Combine(_directory.FullName, "certs");

    private string FileOf(string name) => Path.Combine(Certs, name);

    private X509Certificate2 Read(string name) => X509CertificateLoader.LoadCertificateFromFile(FileOf(name));

    private Task<Ran> CertAsync(params string[] arguments) =>
        CliRun.RunAsync("", ["cert", .. arguments, "--certs-dir", Certs], time: _time);

    private async Task MakeAsync(params string[] arguments)
    {
        Ran ran = await CertAsync(arguments);
        Assert.Equal((0, ""), (ran.ExitCode, ran.Error));
    }

    private static X509ChainStatusFlags Verify(X509Certificate2 leaf, X509Certificate2 root, string usage, DateTimeOffset at)
    {
        using X509Chain chain = new();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(root);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(usage));
        chain.ChainPolicy.VerificationTime = at.UtcDateTime;
        return chain.Build(leaf)
            ? X509ChainStatusFlags.NoError
            : chain.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, static (all, one) => all | one.Status);
    }

    [Fact]
    public async Task An_authority_signs_nodes_and_nothing_that_signs()
    {
        await MakeAsync("create-ca");
        await MakeAsync("create-node", "10.0.0.1", "db1.example", "[::1]");
        using X509Certificate2 authority = Read("ca.crt");
        using X509Certificate2 node = Read("node.10.0.0.1.crt");

        X509BasicConstraintsExtension constraints = authority.Extensions.OfType<X509BasicConstraintsExtension>().Single();
        Assert.True(constraints.CertificateAuthority && constraints.Critical && constraints.HasPathLengthConstraint);
        Assert.Equal(0, constraints.PathLengthConstraint);
        Assert.Equal(
            X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign,
            authority.Extensions.OfType<X509KeyUsageExtension>().Single().KeyUsages);
        Assert.Equal(Now.AddDays(3653).UtcDateTime, authority.NotAfter.ToUniversalTime());

        Assert.Equal("CN=node", node.Subject);
        Assert.True(CertificateIdentity.IsNode(node));
        X509SubjectAlternativeNameExtension names = node.Extensions.OfType<X509SubjectAlternativeNameExtension>().Single();
        Assert.Equal(["db1.example"], names.EnumerateDnsNames());
        Assert.Equal([IPAddress.Parse("10.0.0.1"), IPAddress.IPv6Loopback], names.EnumerateIPAddresses());
        Assert.Equal(Now.AddDays(730).UtcDateTime, node.NotAfter.ToUniversalTime());
        Assert.False(node.Extensions.OfType<X509BasicConstraintsExtension>().Single().CertificateAuthority);
        Assert.Equal(X509ChainStatusFlags.NoError, Verify(node, authority, CertificateIdentity.ServerUsage, Now));
        Assert.Equal(X509ChainStatusFlags.NoError, Verify(node, authority, CertificateIdentity.ClientUsage, Now));
        Assert.NotEqual(X509ChainStatusFlags.NoError, Verify(node, authority, CertificateIdentity.ServerUsage, Now.AddDays(731)));

        using var withKey = X509Certificate2.CreateFromPemFile(FileOf("node.10.0.0.1.crt"), FileOf("node.10.0.0.1.key"));
        Assert.Equal(256, withKey.GetECDsaPrivateKey()!.KeySize);
    }

    [Fact]
    public async Task A_users_certificate_is_for_clients_and_never_a_nodes()
    {
        await MakeAsync("create-ca");
        await MakeAsync("create-client", "alice");
        using X509Certificate2 authority = Read("ca.crt");
        using X509Certificate2 alice = Read("client.alice.crt");
        Assert.Equal("alice", CertificateIdentity.NameOf(alice));
        Assert.False(CertificateIdentity.IsNode(alice));
        Assert.Equal(X509ChainStatusFlags.NoError, Verify(alice, authority, CertificateIdentity.ClientUsage, Now));
        Assert.True(Verify(alice, authority, CertificateIdentity.ServerUsage, Now).HasFlag(X509ChainStatusFlags.NotValidForUsage));

        foreach (string name in (string[])["node", "NODE", "", "a,CN=node", "a b", new string('a', 65)])
        {
            Assert.Equal(2, (await CertAsync("create-client", name)).ExitCode);
        }

        Assert.Equal(4, Directory.GetFiles(Certs).Length);
    }

    [Fact]
    public async Task Keys_are_their_owners_alone_and_nothing_is_overwritten()
    {
        await MakeAsync("create-ca");
        await MakeAsync("create-node", "::1");
        await MakeAsync("create-client", "alice");
        byte[][] before = [.. Directory.GetFiles(Certs).Order().Select(File.ReadAllBytes)];
        Assert.Equal(2, (await CertAsync("create-ca")).ExitCode);
        Assert.Equal(2, (await CertAsync("create-node", "::1")).ExitCode);
        Ran again = await CertAsync("create-client", "alice");
        Assert.Equal(2, again.ExitCode);
        Assert.Contains("is not overwritten", again.Error, StringComparison.Ordinal);
        Assert.Equal(before, Directory.GetFiles(Certs).Order().Select(File.ReadAllBytes));
        Assert.True(File.Exists(FileOf("node.__1.key")));

        if (!OperatingSystem.IsWindows())
        {
            foreach (string key in Directory.GetFiles(Certs, "*.key"))
            {
                Assert.Equal(KeyFile.Mode, File.GetUnixFileMode(key));
            }

            File.SetUnixFileMode(FileOf("ca.key"), KeyFile.Mode | UnixFileMode.OtherRead);
            Ran refused = await CertAsync("create-client", "bob");
            Assert.NotEqual(0, refused.ExitCode);
            Assert.Contains("chmod 600", refused.Error, StringComparison.Ordinal);
        }

        // One file of the two that would be written is enough.
        await File.WriteAllTextAsync(FileOf("client.carol.key"), "");
        Assert.NotEqual(0, (await CertAsync("create-client", "carol")).ExitCode);
        Assert.False(File.Exists(FileOf("client.carol.crt")));
    }

    [Theory]
    [InlineData("10.0.0.1:7001")]
    [InlineData("0.0.0.0")]
    [InlineData("*.example")]
    [InlineData("a b")]
    public async Task What_is_no_host_is_refused(string host)
    {
        await MakeAsync("create-ca");
        Assert.Equal(2, (await CertAsync("create-node", host, "--name", "n")).ExitCode);
        Assert.False(File.Exists(FileOf("n.key")));
    }

    [Fact]
    public async Task Inspect_shows_what_there_is_and_warns_of_what_ends()
    {
        Assert.Equal(2, (await CertAsync("inspect")).ExitCode);
        await MakeAsync("create-ca");
        await MakeAsync("create-node", "10.0.0.1", "db1.example");
        await MakeAsync("create-client", "alice", "--days", "29");
        Ran table = await CertAsync("inspect");
        Assert.Equal(1, table.ExitCode);
        Assert.Contains("client.alice.crt is good for 29 more days", table.Error, StringComparison.Ordinal);
        Assert.Contains("db1.example 10.0.0.1", table.Output, StringComparison.Ordinal);

        Ran json = await CertAsync("inspect", "node.10.0.0.1", "--output", "json");
        Assert.Equal((0, ""), (json.ExitCode, json.Error));
        using X509Certificate2 node = Read("node.10.0.0.1.crt");
        using var parsed = JsonDocument.Parse(json.Output);
        JsonElement one = parsed.RootElement.GetProperty("certificates")[0];
        Assert.Equal("node", one.GetProperty("kind").GetString());
        Assert.Equal("CN=node", one.GetProperty("subject").GetString());
        Assert.Equal("2033-03-03T05:06:07Z", one.GetProperty("not_after").GetString());
        Assert.Equal("2031-03-04T04:06:07Z", one.GetProperty("not_before").GetString());
        Assert.Equal(730, one.GetProperty("days_left").GetInt32());
        Assert.Equal(node.SerialNumber, one.GetProperty("serial").GetString());
        Assert.StartsWith("CN=Henge CA ", one.GetProperty("issuer").GetString(), StringComparison.Ordinal);
        Assert.Equal(2, one.GetProperty("hosts").GetArrayLength());

        _time.Advance(TimeSpan.FromDays(30));
        Assert.Contains("client.alice.crt is over since 2031-04-02", (await CertAsync("inspect")).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_renewed_certificate_has_the_same_name_hosts_and_key_and_a_later_end()
    {
        await MakeAsync("create-ca");
        await MakeAsync("create-node", "10.0.0.1", "db1.example");
        byte[] key = await File.ReadAllBytesAsync(FileOf("node.10.0.0.1.key"));
        using X509Certificate2 before = Read("node.10.0.0.1.crt");
        _time.Advance(TimeSpan.FromDays(700));
        await MakeAsync("renew", "node.10.0.0.1");
        using X509Certificate2 after = Read("node.10.0.0.1.crt");
        using X509Certificate2 authority = Read("ca.crt");
        Assert.Equal(Now.AddDays(1430).UtcDateTime, after.NotAfter.ToUniversalTime());
        Assert.NotEqual(before.SerialNumber, after.SerialNumber);
        Assert.True(CertificateIdentity.IsNode(after));
        Assert.Equal(
            before.Extensions.OfType<X509SubjectAlternativeNameExtension>().Single().RawData,
            after.Extensions.OfType<X509SubjectAlternativeNameExtension>().Single().RawData);
        Assert.Equal(key, await File.ReadAllBytesAsync(FileOf("node.10.0.0.1.key")));
        using var pair = X509Certificate2.CreateFromPemFile(FileOf("node.10.0.0.1.crt"), FileOf("node.10.0.0.1.key"));
        Assert.True(pair.HasPrivateKey);
        Assert.Equal(X509ChainStatusFlags.NoError, Verify(after, authority, CertificateIdentity.ServerUsage, Now.AddDays(1400)));
        Assert.Equal(4, Directory.GetFiles(Certs).Length);

        // An authority that was renewed is the same to what it had signed.
        await MakeAsync("renew", "ca");
        using X509Certificate2 renewed = Read("ca.crt");
        Assert.Equal(authority.Subject, renewed.Subject);
        Assert.True(renewed.NotAfter > authority.NotAfter);
        Assert.Equal(X509ChainStatusFlags.NoError, Verify(after, renewed, CertificateIdentity.ServerUsage, Now.AddDays(1400)));
    }

    [Fact]
    public async Task Nothing_is_good_for_longer_than_its_authority()
    {
        await MakeAsync("create-ca", "--days", "10");
        await MakeAsync("create-client", "alice");
        using X509Certificate2 authority = Read("ca.crt");
        using X509Certificate2 alice = Read("client.alice.crt");
        Assert.Equal(authority.NotAfter, alice.NotAfter);
        _time.Advance(TimeSpan.FromDays(11));
        Assert.Contains("has expired", (await CertAsync("create-client", "bob")).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task With_two_authorities_in_the_file_that_of_the_key_signs()
    {
        await MakeAsync("create-ca");
        string old = await File.ReadAllTextAsync(FileOf("ca.crt"));
        File.Delete(FileOf("ca.crt"));
        Assert.Equal(2, (await CertAsync("create-client", "alice")).ExitCode);
        File.Delete(FileOf("ca.key"));
        await MakeAsync("create-ca");
        await File.WriteAllTextAsync(FileOf("ca.crt"), old + await File.ReadAllTextAsync(FileOf("ca.crt")));
        await MakeAsync("create-client", "alice");
        X509Certificate2Collection both = [];
        both.ImportFromPemFile(FileOf("ca.crt"));
        using X509Certificate2 alice = Read("client.alice.crt");
        Assert.Equal(both[1].Subject, alice.Issuer);
        Assert.Equal(X509ChainStatusFlags.NoError, Verify(alice, both[1], CertificateIdentity.ClientUsage, Now));
        Assert.NotEqual(X509ChainStatusFlags.NoError, Verify(alice, both[0], CertificateIdentity.ClientUsage, Now));

        await File.WriteAllTextAsync(FileOf("ca.crt"), old);
        Assert.Contains("is not the key of", (await CertAsync("create-client", "bob")).Error, StringComparison.Ordinal);
    }
}
