namespace Henge.Fuzz;

/// <summary>
/// Gives one input to a decoder. Catches the error that the decoder documents for bad input, and nothing else; throws <see
/// cref="FuzzFailureException"/> when what was decoded does not keep a promise, for example that its encoded form decodes to the same.
/// </summary>
/// <param name="input">Any bytes.</param>
internal delegate void FuzzAction(ReadOnlySpan<byte> input);

/// <summary>A decoder of bytes that come from outside or from disk.</summary>
/// <param name="Name">What it is called on the command line, and the name of its folder under corpus/.</param>
/// <param name="Run">Gives it one input.</param>
/// <param name="Seeds">Well-formed inputs, made by the encoders where there are any.</param>
internal sealed record FuzzTarget(string Name, FuzzAction Run, Func<IEnumerable<byte[]>> Seeds)
{
    /// <summary>
    /// How many bytes it may allocate for each byte of the input: by the decoder, by the encoder that the result is compared with, and by
    /// the comparison. Small fields become arrays and entries of hash tables, which is most of it.
    /// </summary>
    public int AllocatedPerByte { get; init; } = 256;

    /// <summary>
    /// How many bytes it may allocate whatever the input: buffers of a fixed size, and what an engine or a file system in memory takes.
    /// </summary>
    public int AllocatedAlways { get; init; } = 128 * 1024;

    /// <summary>Inputs that the fuzzers make are no longer.</summary>
    public int LongestInput { get; init; } = 4096;
}

/// <summary>A decoder did not keep a promise.</summary>
public sealed class FuzzFailureException(string message, Exception? inner = null) : Exception(message, inner);
