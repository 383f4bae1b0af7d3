namespace Henge.Server.Thrift;

/// <summary>How the messages of a connection are written.</summary>
public enum ThriftEncoding
{
    /// <summary>The binary protocol, with a version in front ("strict").</summary>
    Binary,

    /// <summary>The compact protocol.</summary>
    Compact,
}
