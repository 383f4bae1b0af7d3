namespace Henge.Storage.Files;

/// <summary>The disk is full (ENOSPC or EDQUOT).</summary>
public sealed class DiskFullException(string message, Exception? inner = null) : IOException(message, inner);
