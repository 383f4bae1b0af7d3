using System.Runtime.Versioning;
using Henge.Core;
using Henge.Server.Hosting;
using Henge.Server.Tests.Fakes;
using Henge.Storage.Files;

namespace Henge.Server.Tests.Hosting;

/// <summary>What a data directory must be before a node opens it.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class DataDirectoryTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("henge-dir").FullName;
    private readonly LinesLogger _log = new();

    private string Data => Path.Combine(_root, "n");

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public void A_new_one_is_its_owners_alone()
    {
        DataDirectory.Check(Data, _log);
        PosixFileSystem.Instance.CreateDirectoryDurably(Path.Combine(Data, "log"));
        DataDirectory.Check(Data, _log);
        Assert.Empty(_log.Lines);
        if (!OperatingSystem.IsWindows())
        {
            const UnixFileMode owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
            Assert.Equal((owner, owner), (File.GetUnixFileMode(Data), File.GetUnixFileMode(Path.Combine(Data, "log"))));
        }
    }

    [Fact]
    public void One_that_everybody_can_write_to_is_refused_and_one_that_everybody_can_read_is_told_of()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Files have no such modes.");
        Directory.CreateDirectory(Data, (UnixFileMode)0b111_101_101);
        File.SetUnixFileMode(Data, (UnixFileMode)0b111_101_101);
        DataDirectory.Check(Data, _log);
        Assert.Contains("chmod 700", Assert.Single(_log.Lines), StringComparison.Ordinal);
        File.SetUnixFileMode(Data, (UnixFileMode)0b111_111_000);
        DataDirectory.Check(Data, _log);
        Assert.Single(_log.Lines);
        foreach (UnixFileMode mode in (UnixFileMode[])[(UnixFileMode)0b111_111_111, (UnixFileMode)0b1_111_000_010])
        {
            File.SetUnixFileMode(Data, mode);
            Refused("chmod 700");
        }
    }

    [Theory]
    [InlineData("IDENTITY")]
    [InlineData("LOCK")]
    [InlineData("log/00000001.log")]
    [InlineData("engine")]
    [InlineData("engine/deep/er/MANIFEST")]
    public void Links_in_it_are_refused_wherever_they_lead(string name)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Links take a privilege there.");
        string elsewhere = Path.Combine(_root, "elsewhere"), link = Path.Combine(Data, name);
        Directory.CreateDirectory(Path.GetDirectoryName(link)!, (UnixFileMode)0b111_000_000);
        File.SetUnixFileMode(Data, (UnixFileMode)0b111_000_000);
        File.WriteAllText(elsewhere, "precious");
        DataDirectory.Check(Data, _log);
        foreach (string target in (string[])[elsewhere, _root, Path.Combine(_root, "nowhere")])
        {
            File.CreateSymbolicLink(link, target);
            Refused(target);
            File.Delete(link);
        }

        DataDirectory.Check(Data, _log);
    }

    [Fact]
    public void The_directory_itself_may_be_a_link()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Links take a privilege there.");
        string disk = Path.Combine(_root, "disk");
        Directory.CreateDirectory(disk, (UnixFileMode)0b111_000_000);
        Directory.CreateSymbolicLink(Data, disk);
        DataDirectory.Check(Data, _log);
        File.CreateSymbolicLink(Path.Combine(disk, "LOCK"), Path.Combine(_root, "elsewhere"));
        Refused("LOCK");
    }

    [Fact]
    public async Task A_node_does_not_start_with_such_a_one_and_touches_nothing()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Links take a privilege there.");
        Directory.CreateDirectory(Data, (UnixFileMode)0b111_000_000);
        string elsewhere = Path.Combine(_root, "elsewhere");
        File.CreateSymbolicLink(Path.Combine(Data, "LOCK"), elsewhere);
        HengeException refused = await Assert.ThrowsAsync<HengeException>(() => HengeHost.StartAsync(
            new ServerOptions
            {
                Node = new Henge.Node.Context.NodeOptions { Name = "alone", DataDirectory = Data },
                Door = new DoorOptions { Address = "127.0.0.1:0" },
            },
            cancellationToken: TestContext.Current.CancellationToken));
        Assert.Equal(ErrorCode.Misconfigured, refused.Code);
        Assert.False(File.Exists(elsewhere));
    }

    private void Refused(string told)
    {
        HengeException refused = Assert.Throws<HengeException>(() => DataDirectory.Check(Data, _log));
        Assert.Equal(ErrorCode.Misconfigured, refused.Code);
        Assert.Contains(told, refused.Message, StringComparison.Ordinal);
    }
}
