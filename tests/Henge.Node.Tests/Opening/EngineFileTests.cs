using System.Text;
using Henge.Core;
using Henge.Node.Opening;
using Henge.Storage.Files;
using Henge.Testing.Files;

namespace Henge.Node.Tests.Opening;

/// <summary>A data directory belongs to the engine that made it.</summary>
public sealed class EngineFileTests
{
    private readonly SimulatedFileSystem _files = new();

    public EngineFileTests() => _files.CreateDirectoryDurably("/data");

    [Fact]
    public void The_engine_that_made_a_directory_opens_it_again_and_no_other()
    {
        Claim("rocksdb");
        Claim("rocksdb");
        HengeException refused = Assert.Throws<HengeException>(() => Claim("lsm"));
        Assert.Equal(ErrorCode.Misconfigured, refused.Code);
        Assert.Contains("made with the engine rocksdb", refused.Message, StringComparison.Ordinal);
        Assert.Contains("--engine rocksdb", refused.Message, StringComparison.Ordinal);
        Claim("rocksdb");
    }

    [Fact]
    public void A_directory_from_before_there_was_the_file_is_the_lsm_engines()
    {
        _files.CreateDirectoryDurably("/data/engine");
        Write("/data/engine/CURRENT", "x");
        Assert.Equal(ErrorCode.Misconfigured, Assert.Throws<HengeException>(() => Claim("memory")).Code);
        Assert.False(_files.FileExists("/data/ENGINE"));
        Claim("lsm");
        Assert.True(_files.FileExists("/data/ENGINE"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("henge-engine 1\n")]
    [InlineData("henge-engine 1\nlsm\n")]
    [InlineData("henge-engine 1\nlsm\nengine")]
    [InlineData("henge-engine 2\nlsm\nengine\n")]
    [InlineData("henge-engine 1\nlsm\n../other\n")]
    [InlineData("henge-engine 1\nlsm\n..\n")]
    [InlineData("henge-engine 1\nlsm\nengine\nmore\n")]
    public void A_file_that_says_nothing_is_an_error_and_stays(string text)
    {
        Write("/data/ENGINE", text);
        HengeException error = Assert.Throws<HengeException>(() => Claim("lsm"));
        Assert.Equal(ErrorCode.Corruption, error.Code);
        Assert.Contains("/data/ENGINE", error.Message, StringComparison.Ordinal);
        Assert.Equal(ErrorCode.Corruption, Assert.Throws<HengeException>(() => Claim("lsm")).Code);
    }

    [Fact]
    public void What_was_claimed_outlives_a_crash()
    {
        Claim("lsm");
        _files.Crash(CrashMode.LoseAllUnsynced, seed: 1);
        Assert.Equal(ErrorCode.Misconfigured, Assert.Throws<HengeException>(() => Claim("memory")).Code);
    }

    [Fact]
    public void Where_an_engine_has_its_files_is_what_the_file_says()
    {
        Assert.Equal("/data/engine", Claim("lsm"));
        EngineFile.Write(_files, "/data", "rocksdb", "engine-rocksdb-1");
        Assert.Equal("/data/engine-rocksdb-1", Claim("rocksdb"));
    }

    private string Claim(string engine) => EngineFile.Claim(_files, "/data", engine);

    private void Write(string path, string text) => _files.WriteAllBytes(path, Encoding.UTF8.GetBytes(text));
}
