using Henge.Server.Audit;
using Henge.Server.Hosting;

namespace Henge.Server.Tests.Hosting;

/// <summary>The setting that says whose use is audited.</summary>
public sealed class AuditKeysSettingTests
{
    [Fact]
    public void A_list_of_prefixes_with_their_use()
    {
        Assert.Equal(
            [new AuditRule(AuditedAccess.Read, "a/"), new AuditRule(AuditedAccess.Write, "b:c"), new AuditRule(AuditedAccess.All, "")],
            AuditKeysSetting.Read("read:a/, write:b:c,read:a/,all:,"));
        Assert.Empty(AuditKeysSetting.Read(""));
    }

    [Theory]
    [InlineData("a/")]
    [InlineData("read")]
    [InlineData("watch:a")]
    [InlineData("READ:a")]
    [InlineData("read:a,:b")]
    public void What_is_none_is_named(string text)
    {
        FormatException problem = Assert.Throws<FormatException>(() => AuditKeysSetting.Read(text));
        Assert.Contains($"\"{text.Split(',')[^1]}\" is none", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void There_are_so_many_at_most()
    {
        string text = string.Join(',', Enumerable.Range(0, 101).Select(static i => $"read:{i}"));
        Assert.Throws<FormatException>(() => AuditKeysSetting.Read(text));
        Assert.Equal(100, AuditKeysSetting.Read(text[..text.LastIndexOf(',')]).Count);
    }
}
