namespace Henge.Server.Resp.Channels;

/// <summary>A message that somebody here is subscribed to; all its receivers share it.</summary>
internal sealed record ChannelMessage(byte[] Channel, byte[] Payload)
{
    private const int OverheadBytes = 64;

    /// <summary>What it counts for while it waits.</summary>
    public int Bytes => Channel.Length + Payload.Length + OverheadBytes;
}
