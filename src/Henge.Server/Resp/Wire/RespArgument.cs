using System.Buffers.Text;

namespace Henge.Server.Resp.Wire;

/// <summary>One argument of a command: a range of the bytes that were parsed.</summary>
internal readonly record struct RespArgument(int Offset, int Length);
