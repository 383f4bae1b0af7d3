using System.Text;
using Henge.Core;
using Henge.Storage.Files;
using Henge.Testing.Files;

namespace Henge.Storage.Tests.Files;

/// <summary>What every file system must do, the real one and the simulated one alike.</summary>
public abstract class FileSystemConformance
{
    protected abstract IFileSystem Disk { get; }

    protected abstract string Root { get; }

    protected string At(string name) => Root + "/" + name;

    [Fact]
    public void What_is_written_is_read_back()
    {
        using IFile file = Create("a", "hello");
        byte[] buffer = new byte[10];
        Assert.Equal(3, file.Read(2, buffer));
        Assert.Equal("llo", Encoding.ASCII.GetString(buffer, 0, 3));
        Assert.Equal(0, file.Read(5, buffer));
        Assert.Equal(0, file.Read(500, buffer));
        Assert.Equal(At("a"), file.Path);
    }

    [Fact]
    public void A_write_past_the_end_leaves_zeros_between()
    {
        using IFile file = Create("a", "x");
        file.Write(10_000, "end"u8);
        Assert.Equal(10_003, file.Length);
        byte[] buffer = new byte[10_003];
        Assert.Equal(10_003, file.Read(0, buffer));
        Assert.Equal((byte)'x', buffer[0]);
        Assert.Equal(-1, buffer.AsSpan(1, 9_999).IndexOfAnyExcept((byte)0));
        Assert.True(buffer.AsSpan(10_000).SequenceEqual("end"u8));
    }

    [Fact]
    public void Several_buffers_are_written_one_after_another()
    {
        using IFile file = Create("a", "");
        var parts = Enumerable.Range(0, 3_000).Select(i => (ReadOnlyMemory<byte>)new byte[] { (byte)i, (byte)(i >> 8) }).ToArray();
        file.Write(7, parts);
        byte[] buffer = new byte[6_000];
        Assert.Equal(6_000, file.Read(7, buffer));
        for (int i = 0; i < 3_000; i++)
        {
            Assert.Equal(i, buffer[2 * i] | buffer[2 * i + 1] << 8);
        }
    }

    [Fact]
    public void Preallocated_space_counts_as_length_and_reads_as_zeros()
    {
        using IFile file = Create("a", "abc");
        file.Preallocate(100_000);
        Assert.Equal(100_000, file.Length);
        byte[] buffer = new byte[100_000];
        Assert.Equal(100_000, file.Read(0, buffer));
        Assert.True(buffer.AsSpan(0, 3).SequenceEqual("abc"u8));
        Assert.Equal(-1, buffer.AsSpan(3).IndexOfAnyExcept((byte)0));
        file.Preallocate(10);
        Assert.Equal(100_000, file.Length);
    }

    [Fact]
    public void A_truncated_file_is_shorter_and_grows_with_zeros()
    {
        using IFile file = Create("a", "abcdef");
        file.Truncate(2);
        Assert.Equal(2, file.Length);
        file.Truncate(4);
        byte[] buffer = new byte[8];
        Assert.Equal(4, file.Read(0, buffer));
        Assert.Equal("ab\0\0", Encoding.ASCII.GetString(buffer, 0, 4));
    }

    [Fact]
    public void Names_are_listed_in_ordinal_order()
    {
        Create("b", "").Dispose();
        Create("B", "").Dispose();
        Create("a-1", "").Dispose();
        Disk.CreateDirectory(At("a/deep"));
        Assert.Equal(["B", "a", "a-1", "b"], Disk.List(Root));
        Assert.Equal(["deep"], Disk.List(At("a")));
    }

    [Fact]
    public void A_rename_replaces_what_has_the_name()
    {
        Create("a", "new").Dispose();
        Create("b", "old").Dispose();
        Disk.Rename(At("a"), At("b"));
        Disk.SyncDirectory(Root);
        Assert.Equal("new", ReadText("b"));
        Assert.False(Disk.FileExists(At("a")));
    }

    [Fact]
    public void A_link_is_a_second_name_for_the_same_file()
    {
        Create("a", "same").Dispose();
        Disk.Link(At("a"), At("b"));
        Disk.Delete(At("a"));
        Assert.Equal("same", ReadText("b"));
    }

    [Fact]
    public void An_open_file_outlives_its_name()
    {
        using IFile file = Create("a", "still");
        Disk.Delete(At("a"));
        Assert.False(Disk.FileExists(At("a")));
        byte[] buffer = new byte[5];
        Assert.Equal(5, file.Read(0, buffer));
        file.Write(5, "!"u8);
        file.Sync();
        Assert.Equal(6, file.Length);
    }

    [Fact]
    public void A_missing_file_is_an_error_that_names_it()
    {
        Assert.Contains(
            At("no"),
            Assert.Throws<FileNotFoundException>(() => Disk.Open(At("no"), FileOpenMode.Read)).Message,
            StringComparison.Ordinal);
        Assert.Contains(At("no"), Assert.Throws<FileNotFoundException>(() => Disk.Delete(At("no"))).Message, StringComparison.Ordinal);
        Assert.Throws<FileNotFoundException>(() => Disk.Rename(At("no"), At("b")));
        Assert.Throws<FileNotFoundException>(() => Disk.Link(At("no"), At("b")));
        Assert.Throws<DirectoryNotFoundException>(() => Disk.List(At("no")));
        Assert.Throws<DirectoryNotFoundException>(() => Disk.Open(At("no/a"), FileOpenMode.CreateNew));
        Assert.ThrowsAny<IOException>(() => Disk.SyncDirectory(At("no")));
    }

    [Fact]
    public void A_new_file_must_be_new()
    {
        Create("a", "keep").Dispose();
        Assert.ThrowsAny<IOException>(() => Disk.Open(At("a"), FileOpenMode.CreateNew));
        Assert.Equal("keep", ReadText("a"));
    }

    [Fact]
    public void A_file_open_for_reading_cannot_be_written()
    {
        Create("a", "keep").Dispose();
        using IFile file = Disk.Open(At("a"), FileOpenMode.Read);
        Assert.ThrowsAny<IOException>(() => file.Write(0, "x"u8));
        Assert.Equal("keep", ReadText("a"));
    }

    [Fact]
    public void A_directory_is_deleted_only_when_empty()
    {
        Disk.CreateDirectory(At("d"));
        Disk.CreateDirectory(At("d"));
        Create("d/a", "").Dispose();
        Assert.ThrowsAny<IOException>(() => Disk.DeleteDirectory(At("d")));
        Disk.Delete(At("d/a"));
        Disk.DeleteDirectory(At("d"));
        Assert.False(Disk.DirectoryExists(At("d")));
        Assert.False(Disk.FileExists(At("d")));
    }

    [Fact]
    public void A_lock_excludes_others_until_it_is_let_go()
    {
        using (Disk.Lock(At("LOCK")))
        {
            HengeException error = Assert.Throws<HengeException>(() => Disk.Lock(At("LOCK")));
            Assert.Equal(ErrorCode.Locked, error.Code);
            Assert.Contains(At("LOCK"), error.Message, StringComparison.Ordinal);
        }

        Disk.Lock(At("LOCK")).Dispose();
    }

    [Fact]
    public void There_is_space_available() => Assert.True(Disk.AvailableBytes(Root) > 0);

    protected IFile Create(string name, string text)
    {
        IFile file = Disk.Open(At(name), FileOpenMode.CreateNew);
        file.Write(0, Encoding.ASCII.GetBytes(text));
        file.Sync();
        return file;
    }

    private string ReadText(string name)
    {
        using IFile file = Disk.Open(At(name), FileOpenMode.Read);
        byte[] buffer = new byte[file.Length];
        Assert.Equal(buffer.Length, file.Read(0, buffer));
        return Encoding.ASCII.GetString(buffer);
    }
}

public sealed class SimulatedFileSystemConformance : FileSystemConformance
{
    public SimulatedFileSystemConformance() => Disk.CreateDirectory(Root);

    protected override IFileSystem Disk { get; } = new SimulatedFileSystem();

    protected override string Root => "/data/node";
}

public sealed class PosixFileSystemConformance : FileSystemConformance, IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("henge-files-").FullName;

    protected override IFileSystem Disk => PosixFileSystem.Instance;

    protected override string Root => _root;

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public void Another_process_cannot_take_the_lock()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && File.Exists("/usr/bin/flock"), "flock(1) of util-linux plays the other process.");
        Assert.Equal(0, RunFlock(At("LOCK")));
        using (Disk.Lock(At("LOCK")))
        {
            Assert.Equal(77, RunFlock(At("LOCK")));
        }

        Assert.Equal(0, RunFlock(At("LOCK")));
    }

    [Fact]
    public void A_lock_of_another_process_is_respected_and_ends_with_it()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && File.Exists("/usr/bin/flock"), "flock(1) of util-linux plays the other process.");
        using var other = new System.Diagnostics.Process();
        other.StartInfo = new("/usr/bin/flock", ["--exclusive", "--no-fork", At("LOCK"), "sh", "-c", "echo held; read line"])
        {
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
        };
        other.Start();
        Assert.Equal("held", other.StandardOutput.ReadLine());
        Assert.Equal(ErrorCode.Locked, Assert.Throws<HengeException>(() => Disk.Lock(At("LOCK"))).Code);
        other.Kill(entireProcessTree: true);
        other.WaitForExit();
        Disk.Lock(At("LOCK")).Dispose();
    }

    [Fact]
    public void A_full_disk_is_told_apart_from_other_errors()
    {
        Assert.SkipUnless(File.Exists("/dev/full"), "Only Linux has a device that is always full.");
        using IFile file = Disk.Open("/dev/full", FileOpenMode.ReadWrite);
        Assert.Contains("/dev/full", Assert.Throws<DiskFullException>(() => file.Write(0, "x"u8)).Message, StringComparison.Ordinal);
        Assert.Throws<DiskFullException>(() => file.Write(0, [new byte[10], new byte[10]]));
    }

    [Fact]
    public void More_than_the_disk_holds_cannot_be_preallocated()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Only Linux reserves without writing.");
        using IFile file = Create("a", "abc");
        long tooMuch = Disk.AvailableBytes(Root) + (1L << 40);
        IOException error = Assert.ThrowsAny<IOException>(() => file.Preallocate(tooMuch));
        Assert.Contains(At("a"), error.Message, StringComparison.Ordinal);
        Assert.Equal(3, file.Length);
    }

    [Fact]
    public void A_forbidden_file_is_an_io_error_that_says_what_to_check()
    {
        IOException error = Assert.ThrowsAny<IOException>(() => Disk.Open(Root, FileOpenMode.ReadWrite));
        Assert.Contains("permissions", error.Message, StringComparison.Ordinal);
    }

    private static int RunFlock(string path)
    {
        using var process = System.Diagnostics.Process.Start(
            "/usr/bin/flock",
            ["--nonblock", "--exclusive", "--conflict-exit-code", "77", path, "true"]);
        process.WaitForExit();
        return process.ExitCode;
    }
}
