using System.Globalization;

namespace Henge.Storage.Logs;

/// <summary>Says in the owner's words what a record is, for <see cref="LogDump"/>.</summary>
public delegate string LogRecordDescription(byte kind, ReadOnlySpan<byte> payload);
