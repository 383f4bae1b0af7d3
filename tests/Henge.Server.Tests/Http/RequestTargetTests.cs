using System.Text;
using Henge.Core;
using Henge.Server.Http;

namespace Henge.Server.Tests.Http;

/// <summary>Route and key come from one parsing of the target, in all forms of RFC 9112, section 3.2.</summary>
public sealed class RequestTargetTests
{
    [Theory]
    [InlineData("/v1/kv/k", "/v1/kv/k", "k")]
    [InlineData("/v1/%6bv/k", "/v1/kv/k", "k")]
    [InlineData("/v%31/kv/%6B", "/v1/kv/k", "k")]
    [InlineData("/x/../v1/kv/k", "/v1/kv/k", "k")]
    [InlineData("/x/%2e%2E/v1/./kv/k", "/v1/kv/k", "k")]
    [InlineData("/../../v1/kv/k", "/v1/kv/k", "k")]
    [InlineData("/v1/kv/a/../k", "/v1/kv/k", "k")]
    [InlineData("http://host:7001/v1/kv/k?x=1", "/v1/kv/k", "k")]
    [InlineData("HTTPS://host/v1/%6bv/k", "/v1/kv/k", "k")]
    [InlineData("/v1/kv/a/b", "/v1/kv/a/b", "a/b")]
    [InlineData("/v1/kv/a%2Fb", "/v1/kv/a%2Fb", "a/b")]
    [InlineData("/v1/kv/a//b/", "/v1/kv/a//b/", "a//b/")]
    [InlineData("/v1/kv/%c3%a9", "/v1/kv/é", "é")]
    [InlineData("/v1/kv/a+b%2Bc", "/v1/kv/a+b+c", "a+b+c")]
    [InlineData("/v1/kv/...", "/v1/kv/...", "...")]
    [InlineData("/v1/kv", "/v1/kv", null)]
    [InlineData("/v1/kv/", "/v1/kv/", null)]
    [InlineData("/v1/kv/..", "/v1/", null)]
    [InlineData("/v1/kv/a/..", "/v1/kv/", null)]
    [InlineData("/v1%2Fkv/k", "/v1%2Fkv/k", null)]
    [InlineData("/v1/kvs/k", "/v1/kvs/k", null)]
    [InlineData("http://host", "/", null)]
    [InlineData("http://host?a=b", "/", null)]
    [InlineData("*", "*", null)]
    public void Path_and_key_are_of_the_same_segments(string target, string path, string? key)
    {
        RequestTarget parsed = RequestTarget.Parse(target);
        Assert.Equal(path, parsed.Path);
        Assert.Equal(key, parsed.Behind("/v1/kv") is { } bytes ? Encoding.UTF8.GetString(bytes) : null);
    }

    [Fact]
    public void Bytes_that_are_no_text_stay_what_they_are() =>
        Assert.Equal([0xFF, 0x00, (byte)'/'], RequestTarget.Parse("/v1/kv/%ff%00/").Behind("/v1/kv"));

    [Theory]
    [InlineData("/a?b?c", "b?c")]
    [InlineData("/a", "")]
    [InlineData("http://h?x=%ff", "x=%ff")]
    public void The_query_is_what_stands_behind_the_first_question_mark(string target, string query) =>
        Assert.Equal(query, RequestTarget.Parse(target).Query);

    [Theory]
    [InlineData("")]
    [InlineData("host:80")]
    [InlineData("v1/kv/k")]
    [InlineData("?a")]
    [InlineData("/v1/kv/%")]
    [InlineData("/v1/kv/%f")]
    [InlineData("/v1/kv/%zz/..")]
    public void What_is_no_target_is_refused(string target) =>
        Assert.Equal(ErrorCode.InvalidArgument, Assert.Throws<HengeException>(() => RequestTarget.Parse(target)).Code);
}
