namespace Henge.Storage.Inspection;

/// <summary>How far a verification is.</summary>
/// <param name="File">The file that was just checked.</param>
/// <param name="FilesDone">Files checked, this one included.</param>
/// <param name="FilesTotal">Files to check.</param>
/// <param name="BytesDone">Bytes checked.</param>
/// <param name="BytesTotal">Bytes to check.</param>
public readonly record struct VerifyProgress(string File, int FilesDone, int FilesTotal, long BytesDone, long BytesTotal);
