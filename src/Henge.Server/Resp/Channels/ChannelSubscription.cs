namespace Henge.Server.Resp.Channels;

/// <summary>One subscription of one connection.</summary>
/// <param name="inbox">Where its messages go.</param>
/// <param name="kind">What it is to.</param>
/// <param name="name">The channel or the pattern; each byte as the character of the same number.</param>
internal sealed class ChannelSubscription(SubscriberInbox inbox, ChannelKind kind, string name)
{
    private volatile bool _ended;

    /// <summary>Where its messages go.</summary>
    public SubscriberInbox Inbox => inbox;

    /// <summary>What it is to.</summary>
    public ChannelKind Kind => kind;

    /// <summary>The channel or the pattern.</summary>
    public string Name => name;

    /// <summary>The same as bytes.</summary>
    public byte[] NameBytes { get; } = System.Text.Encoding.Latin1.GetBytes(name);

    /// <summary>Set when it was unsubscribed from: what still waits for it is not sent.</summary>
    public bool Ended
    {
        get => _ended;
        set => _ended = value;
    }
}
