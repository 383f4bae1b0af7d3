using System.Buffers.Text;

namespace Henge.Server.Resp.Wire;

/// <summary>What <see cref="RespParser.Parse"/> found.</summary>
internal enum RespParse : byte
{
    /// <summary>A whole command (maybe an empty one, which Redis ignores too).</summary>
    Command,
    /// <summary>
    /// The bytes end within a command: <see cref="RespParser.NeededBytes"/> says how many there must be before another try makes sense.
    /// </summary>
    NeedMore,
    /// <summary>Not RESP: <see cref="RespParser.Error"/> says why; the connection is to be closed after telling so.</summary>
    Malformed,
}
