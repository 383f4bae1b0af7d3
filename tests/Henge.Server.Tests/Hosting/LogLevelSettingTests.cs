using Henge.Core;
using Henge.Server.Events;
using Henge.Server.Hosting;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Tests.Hosting;

public sealed class LogLevelSettingTests
{
    [Fact]
    public void A_level_alone_is_for_all_categories_that_are_not_named()
    {
        LogOptions log = LogLevelSetting.Apply(new LogOptions(), "warning, Henge.Raft=debug,Microsoft.AspNetCore=Trace");
        Assert.Equal(LogLevel.Warning, log.Level);
        Assert.Equal(
            [new CategoryLevel("Henge.Raft", LogLevel.Debug), new CategoryLevel("Microsoft.AspNetCore", LogLevel.Trace)],
            log.Categories);
        Assert.Equal(LogLevel.Error, LogLevelSetting.Apply(new LogOptions(), "Default=Error").Level);
    }

    [Theory]
    [InlineData("Debgu", "did you mean Debug?")]
    [InlineData("Henge.Raft=loud", "\"loud\" is no level")]
    [InlineData("Henge.Rafd=Debug", "did you mean Henge.Raft?")]
    [InlineData("Raft=Debug", "\"Raft\" is none")]
    public void What_means_nothing_is_refused(string text, string why) =>
        Assert.Contains(
            why, Assert.Throws<FormatException>(() => LogLevelSetting.Apply(new LogOptions(), text)).Message, StringComparison.Ordinal);

    [Fact]
    public void Environment_and_file_set_it_too()
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, """{ "log-level": { "Default": "Warning", "Henge.Raft": "Debug" }, "log-format": "text" }""");
            ServerOptions options = ServerConfiguration.Load(
                new Dictionary<string, string>(), file, new Dictionary<string, string> { ["HENGE_LOG_FORMAT"] = "json" });
            Assert.Equal(LogFormat.Json, options.Log.Format);
            Assert.Equal(LogLevel.Warning, options.Log.Level);
            Assert.Equal([new CategoryLevel("Henge.Raft", LogLevel.Debug)], options.Log.Categories);
        }
        finally
        {
            File.Delete(file);
        }

        HengeException misspelt = Assert.Throws<HengeException>(() => ServerConfiguration.Load(
            new Dictionary<string, string>(), null, new Dictionary<string, string> { ["HENGE_LOG_FORMATT"] = "json" }));
        Assert.Contains("HENGE_LOG_FORMAT?", misspelt.Message, StringComparison.Ordinal);
    }
}
