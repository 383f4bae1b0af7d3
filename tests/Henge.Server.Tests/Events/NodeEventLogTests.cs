using System.Linq.Expressions;
using System.Reflection;
using Henge.Core;
using Henge.Node.Context;
using Henge.Server.Events;
using Henge.Testing;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Tests.Events;

public sealed class NodeEventLogTests
{
    private static readonly MethodInfo[] Methods = typeof(INodeEvents).GetMethods();

    [Fact]
    public void Each_event_of_the_core_is_logged_once_by_its_own_name_in_its_category()
    {
        using Recorder recorder = new();
        using NodeEventLog log = new(recorder);
        foreach (MethodInfo method in Methods)
        {
            recorder.Logged.Clear();
            method.Invoke(log, [.. method.GetParameters().Select(Sample)]);
            (string category, EventId id, string text) = Assert.Single(recorder.Logged);
            (LoggerMessageAttribute expected, string name, string itsCategory) =
                Assert.Single(EventDocsTests.All, e => e.Name == method.Name);
            Assert.Equal((itsCategory, expected.EventId, name), (category, id.Id, id.Name));
            foreach (ParameterInfo parameter in method.GetParameters())
            {
                Assert.Contains(SampleText(parameter), text, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void An_event_whose_level_is_off_allocates_nothing()
    {
        using ServerLogging logging = new(TextWriter.Null, new LogOptions { Level = LogLevel.None });
        using NodeEventLog log = new(logging);
        Action all = Expression
            .Lambda<Action>(
                Expression.Block(
                    Methods.Select(method => Expression.Call(
                        Expression.Constant(log),
                        typeof(NodeEventLog).GetMethod(method.Name)!,
                        method.GetParameters().Select(p => Expression.Constant(Sample(p), p.ParameterType))))))
            .Compile();
        Assert.Equal(0, Allocations.Fewest(all));
    }

    private static object Sample(ParameterInfo parameter) => parameter.ParameterType switch
    {
        var type when type == typeof(string) => "some " + parameter.Name,
        var type when type == typeof(long) => 42_042L,
        var type when type == typeof(NodeId) => new NodeId(7),
        var type when type == typeof(ShardId) => new ShardId(13),
        var type when type == typeof(Henge.Node.Api.MemberState) => Henge.Node.Api.MemberState.Draining,
        var type when type == typeof(Term) => new Term(17),
        var type when type == typeof(LogIndex) => new LogIndex(19),
        var type when type == typeof(Core.Version) => new Core.Version(23),
        var type when type == typeof(IReadOnlyList<NodeId>) => new NodeId[] { new(7), new(8) },
        var type when type == typeof(IReadOnlyList<string>) => new string[] { "node7", "node8" },
        var type => throw new InvalidOperationException($"No sample of {type}."),
    };

    private static string SampleText(ParameterInfo parameter) => Sample(parameter) switch
    {
        NodeId[] ids => string.Join(", ", ids),
        string[] names => string.Join(", ", names),
        var value => $"{value}",
    };

    private sealed class Recorder : ILoggerFactory
    {
        public List<(string Category, EventId Id, string Text)> Logged { get; } = [];

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

        public void Dispose() => Logged.Clear();

        private sealed class Logger(Recorder owner, string category) : ILogger
        {
            public IDisposable? BeginScope<TState>(TState state)
                where TState : notnull => null;

            public bool IsEnabled(LogLevel logLevel) => true;

            public void Log<TState>(
                LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
                owner.Logged.Add((category, eventId, formatter(state, exception)));
        }
    }
}
