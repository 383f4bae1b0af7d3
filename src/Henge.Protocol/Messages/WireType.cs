namespace Henge.Protocol.Messages;

/// <summary>How a field's value stands in a message: the lowest three bits of its tag; the field's number stands above them.</summary>
internal static class WireType
{
    /// <summary>A number of any length: integers, booleans and enumerations.</summary>
    public const int Number = 0;

    /// <summary>Eight bytes.</summary>
    public const int Fixed64 = 1;

    /// <summary>Bytes with their length before them: bytes, strings and messages.</summary>
    public const int Bytes = 2;

    /// <summary>Four bytes.</summary>
    public const int Fixed32 = 5;

    /// <summary>Bits of a tag that hold the type.</summary>
    public const int Bits = 3;
}
