namespace Henge.Storage.Logs;

/// <summary>Takes the records that a log holds when it is opened, in order. The payload is valid only during the call.</summary>
public delegate void LogRecordHandler(LogPosition position, byte kind, ReadOnlySpan<byte> payload);
