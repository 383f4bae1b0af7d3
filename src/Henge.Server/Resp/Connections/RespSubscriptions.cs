using System.Text;
using Henge.Core;
using Henge.Node.Access;
using Henge.Server.Access;
using Henge.Server.Resp.Channels;
using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Connections;

/// <summary>
/// What one connection is subscribed to: channels, patterns and shard channels, on which clients publish, and key events by Redis's names
/// (<see cref="KeyEventWatch"/>). Messages are pushed between replies. Belongs to the connection.
/// </summary>
internal sealed class RespSubscriptions : IAsyncDisposable
{
    private readonly RespConnection _connection;
    private readonly Dictionary<(ChannelKind Kind, string Name), Subscription> _open = [];
    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly SubscriberOutput _output;
    private readonly SubscriberInbox _inbox;
    private readonly IAccessControl? _access;
    private AccessView? _checked;
    private Login? _checkedLogin;
    private long _nameBytes;
    private int _shards;
    private bool _used, _held;

    /// <summary>None yet.</summary>
    /// <param name="connection">Whose they are.</param>
    /// <param name="output">The connection's output.</param>
    /// <param name="waiting">What the connection may keep waiting.</param>
    public RespSubscriptions(RespConnection connection, RespOutput output, RespWaitingBytes waiting)
    {
        _connection = connection;
        _output = new SubscriberOutput(connection.Writer, output, _gate, connection.EndSubscriber);
        _inbox = new SubscriberInbox(_output, waiting, connection.Services.Waiting.Limits.SubscriberBytes, Refuse);
        _access = connection.Services.Logins?.Access;
    }

    /// <summary>How many there are, of all kinds.</summary>
    public int Count => _open.Count;

    /// <summary>Keeps pushes out while replies are written. Free of cost as long as nothing was ever subscribed to.</summary>
    public ValueTask EnterAsync() => _used ? EnterSlowAsync() : ValueTask.CompletedTask;

    /// <summary>Lets pushes in again.</summary>
    public void Exit()
    {
        if (_held)
        {
            _held = false;
            _gate.Release();
        }
    }

    private async ValueTask EnterSlowAsync()
    {
        await _gate.WaitAsync();
        _held = true;
    }

    /// <summary>In RESP2 a connection with subscriptions may do little else; the error, if so.</summary>
    public string? Refuse(RespCommand command) =>
        Count > 0 && _connection.Writer.Protocol == 2 && !command.AllowedToSubscribers
            ? $"ERR Can't execute '{command.Name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
                + $"context"
            : null;

    /// <summary>SUBSCRIBE, PSUBSCRIBE or SSUBSCRIBE.</summary>
    public async ValueTask SubscribeAsync(RespArguments arguments, RespWriter writer, ChannelKind kind)
    {
        if (!_used)
        {
            // Nobody else can have it yet; from here on the replies under way hold it as if they had entered.
            _held = _used = _gate.Wait(0);
            if (_access is not null)
            {
                _access.AccessChanged += _inbox.Recheck;
            }
        }

        // All of a command's channels or none: a client counts on one confirmation for each.
        if (Problem(arguments, kind) is { } problem)
        {
            writer.Error(problem);
            return;
        }

        for (int i = 1; i < arguments.Count; i++)
        {
            string name = Name(arguments, i);
            if (!_open.ContainsKey((kind, name)))
            {
                try
                {
                    await OpenAsync(kind, name);
                }
                catch (HengeException e)
                {
                    writer.Error(RespErrors.Of(e.Code, e.Message));
                    return;
                }
            }

            Confirm(writer, kind, subscribed: true, name);
        }
    }

    /// <summary>UNSUBSCRIBE, PUNSUBSCRIBE or SUNSUBSCRIBE; without names: all of the kind.</summary>
    public void Unsubscribe(RespArguments arguments, RespWriter writer, ChannelKind kind)
    {
        string[] names = arguments.Count > 1
            ? [.. Enumerable.Range(1, arguments.Count - 1).Select(i => Name(arguments, i))]
            : [.. _open.Keys.Where(k => k.Kind == kind).Select(k => k.Name)];
        foreach (string name in names)
        {
            if (_open.Remove((kind, name), out Subscription? subscription))
            {
                Close(subscription);
            }

            Confirm(writer, kind, subscribed: false, name);
        }

        if (names.Length == 0)
        {
            Confirm(writer, kind, subscribed: false, null);
        }
    }

    /// <summary>Ends them, when nothing is to be pushed any more: what follows may give the output's memory back.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!_used)
        {
            return;
        }

        if (_access is not null)
        {
            _access.AccessChanged -= _inbox.Recheck;
        }

        // A pump that is just writing comes to its end; those that come later find nothing to write.
        _inbox.End();
        await _gate.WaitAsync();
        Clear();
        _gate.Release();
    }

    /// <summary>Ends all of them without a confirmation.</summary>
    public void Clear()
    {
        foreach (Subscription subscription in _open.Values)
        {
            Close(subscription);
        }

        _open.Clear();
    }

    // As Redis does, a connection is cut whose user may not have all of what it is subscribed to any more. For who has entered. Key events
    // are watches, which end by themselves.
    private HengeException? Refuse()
    {
        Login? login = _connection.Caller.Login;
        if (
            _access?.Access is not { IsEnabled: true } view
            || (view == _checked && login == _checkedLogin && login is not { ExpiresAtUnixMs: not 0 }))
        {
            return null;
        }

        foreach ((ChannelKind kind, string name) in _open.Keys)
        {
            KeyRange names = NamesOf(Encoding.Latin1.GetBytes(name), kind);
            if (_connection.Services.RefuseChannel(_connection.User, Permissions.Watch, names) is not null)
            {
                return new HengeException(
                    ErrorCode.PermissionDenied,
                    $"its user may not have all of what it is subscribed to any more: the permission watch for {names} was taken away, or its "
                        + "login is over");
            }
        }

        (_checked, _checkedLogin) = (view, login);
        return null;
    }

    // Names are bytes: each is kept as the character of the same number, which loses nothing.
    private static string Name(RespArguments arguments, int index) => Encoding.Latin1.GetString(arguments.Span(index));

    private string? Problem(RespArguments arguments, ChannelKind kind)
    {
        RespServices services = _connection.Services;
        int longest = _connection.Node.Limits.KeyBytes, more = 0;
        long bytes = _nameBytes;
        HashSet<string> seen = new(StringComparer.Ordinal);
        for (int i = 1; i < arguments.Count; i++)
        {
            if (arguments[i].Length > longest)
            {
                return RespErrors.ChannelNameTooLong(arguments[i].Length, longest);
            }

            if (services.RefuseChannel(_connection.User, Permissions.Watch, NamesOf(arguments.Span(i), kind)) is { } refused)
            {
                return refused;
            }

            string name = Name(arguments, i);
            if (!_open.ContainsKey((kind, name)) && seen.Add(name))
            {
                more++;
                bytes += name.Length;
            }

            if (Count + more > services.SubscriptionsLimit)
            {
                return $"ERR too many subscriptions: at most {services.SubscriptionsLimit} a connection; nothing was subscribed to";
            }

            if (bytes > services.SubscriptionNamesBytesLimit)
            {
                return $"ERR the names of what this connection is subscribed to are too long: at most "
                    + $"{services.SubscriptionNamesBytesLimit} bytes together; nothing was subscribed to";
            }
        }

        return null;
    }

    // A pattern is for all names that begin as it does up to its first sign.
    private static KeyRange NamesOf(ReadOnlySpan<byte> name, ChannelKind kind)
    {
        int glob = kind == ChannelKind.Pattern ? name.IndexOfAny("*?[\\"u8) : -1;
        return kind != ChannelKind.Pattern ? KeyRange.Key(name)
            : glob == 0 ? KeyRange.All
            : KeyRange.Prefix(glob < 0 ? name.ToArray() : name[..glob].ToArray());
    }

    private async ValueTask OpenAsync(ChannelKind kind, string name)
    {
        ChannelSubscription channel = new(_inbox, kind, name);

        // First what can fail.
        KeyEventWatch? keys = await KeyEventWatch.OpenAsync(_connection.Node, _output, channel);
        _connection.Services.Channels.Add(channel);
        _open.Add((kind, name), new Subscription(channel, keys));
        _nameBytes += name.Length;
        _shards += kind == ChannelKind.Shard ? 1 : 0;
    }

    private void Close(Subscription subscription)
    {
        _connection.Services.Channels.Remove(subscription.Channel);
        subscription.Keys?.Dispose();
        _nameBytes -= subscription.Channel.Name.Length;
        _shards -= subscription.Channel.Kind == ChannelKind.Shard ? 1 : 0;
    }

    private void Confirm(RespWriter writer, ChannelKind kind, bool subscribed, string? name)
    {
        writer.Push(3);
        writer.Bulk(
            (
                kind switch
                {
                    ChannelKind.Channel => "",
                    ChannelKind.Pattern => "p",
                    _ => "s",
                }
            ) + (subscribed ? "subscribe" : "unsubscribe"));
        if (name is null)
        {
            writer.Null();
        }
        else
        {
            writer.Bulk(Encoding.Latin1.GetBytes(name));
        }

        // Shard channels are counted by themselves, as in Redis.
        writer.Integer(kind == ChannelKind.Shard ? _shards : Count - _shards);
    }

    private sealed record Subscription(ChannelSubscription Channel, KeyEventWatch? Keys);
}
