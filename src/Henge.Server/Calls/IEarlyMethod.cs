using System.Buffers;

namespace Henge.Server.Calls;

/// <summary>
/// A unary method that begins what a request asks for when the request has arrived as a whole, before the library is entered
/// (docs/decisions/0191-the-node-before-the-library.md). Thread-safe.
/// </summary>
internal interface IEarlyMethod
{
    /// <summary>Reads a request; a bad one is refused when the library asks for the answer. Nothing is begun yet.</summary>
    IEarlyCall Read(in ReadOnlySequence<byte> message);
}
