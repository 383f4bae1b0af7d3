namespace Henge.Server.Operations;

/// <summary>Which request a door answers, for its metrics.</summary>
internal enum KvRequestKind : byte
{
    Get,
    Put,
    Delete,
    Txn,
    Scan,
}
